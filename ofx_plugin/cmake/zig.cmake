# The release compiler: clang as the ziglang package of PyPI brings it, for glibc 2.28 (Rocky Linux 8, which Resolve
# runs on), with its C++ library inside the binary.
#   cmake -DCMAKE_TOOLCHAIN_FILE=ofx_plugin/cmake/zig.cmake -DPython3_EXECUTABLE=python-with-ziglang
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES Python3_EXECUTABLE)

if(NOT Python3_EXECUTABLE)
  set(Python3_EXECUTABLE python3)
endif()
execute_process(COMMAND "${Python3_EXECUTABLE}" -c "import ziglang, pathlib; print(pathlib.Path(ziglang.__file__).parent / 'zig')"
  OUTPUT_VARIABLE zig OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
if(failed)
  message(FATAL_ERROR "${Python3_EXECUTABLE} has no ziglang; run `make plugin`, or `pip install ziglang`.")
endif()
set(target -target x86_64-linux-gnu.2.28)
set(CMAKE_C_COMPILER "${zig}" cc ${target})
set(CMAKE_CXX_COMPILER "${zig}" c++ ${target})
set(CMAKE_MODULE_LINKER_FLAGS_INIT -s)  # this compiler adds debugging information unasked: 19 MB of it
