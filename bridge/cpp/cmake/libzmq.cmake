# libzmq 4.3.4, static and position-independent: Debian's archive is not, and a host may carry a libzmq of its own.
# Its sources travel in the source distribution of pyzmq 25.1.2, the last to bundle them.
set(LATENSIFY_LIBZMQ_SOURCE "" CACHE PATH "libzmq's sources; empty: fetched with pip")
set(libzmq "${LATENSIFY_LIBZMQ_SOURCE}")
if(NOT libzmq)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(third_party "${CMAKE_CURRENT_LIST_DIR}/../../../build/third_party")
  execute_process(COMMAND "${Python3_EXECUTABLE}" "${CMAKE_CURRENT_LIST_DIR}/fetch_libzmq.py" "${third_party}"
    RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "libzmq's sources could not be had; the reason is above.")
  endif()
  set(libzmq "${third_party}/pyzmq-25.1.2/bundled/zeromq")
endif()

file(GLOB zmq_sources "${libzmq}/src/*.cpp" "${libzmq}/src/tweetnacl.c" "${libzmq}/external/sha1/*.c")
list(FILTER zmq_sources EXCLUDE REGEX "/(vmci|tipc|norm|pgm|gssapi|wss|ws)[a-z_]*\\.cpp$")
set(platform "${CMAKE_CURRENT_BINARY_DIR}/libzmq")
configure_file("${CMAKE_CURRENT_LIST_DIR}/platform.hpp" "${platform}/platform.hpp" COPYONLY)
# CURVE (RFC 26) by the tweetnacl that libzmq carries. Only these files ask for it; its loops over bytes gain from -O3.
set(curve_sources "${zmq_sources}")
list(FILTER curve_sources INCLUDE REGEX
  "/(curve_[a-z_]+|options|random|raw_engine|stream_engine_base|tweetnacl|zmq|zmq_utils|zmtp_engine)\\.cp?p?$")
set_source_files_properties(${curve_sources} PROPERTIES
  COMPILE_DEFINITIONS "ZMQ_HAVE_CURVE;ZMQ_USE_TWEETNACL;ZMQ_HAVE_GETRANDOM" COMPILE_OPTIONS "-O3")
add_library(zmq_static STATIC ${zmq_sources})
target_include_directories(zmq_static PUBLIC "${libzmq}/include" PRIVATE "${platform}" "${libzmq}/external/sha1")
target_compile_definitions(zmq_static PUBLIC ZMQ_STATIC PRIVATE ZMQ_CUSTOM_PLATFORM_HPP _GNU_SOURCE)
target_compile_options(zmq_static PRIVATE -w)
set_target_properties(zmq_static PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_STANDARD 11
  CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
