# nlohmann_json (msgpack) and xxHash, header-only, from the system: copied, so that a cross compiler meets nothing else
# of /usr/include.
set(LATENSIFY_SYSTEM_HEADERS "${CMAKE_BINARY_DIR}/system_headers")
foreach(wanted "nlohmann;nlohmann-json3-dev" "xxhash.h;libxxhash-dev")
  list(GET wanted 0 name)
  list(GET wanted 1 package)
  find_path(found_${name} NAMES ${name} PATHS /usr/include /usr/local/include NO_CMAKE_FIND_ROOT_PATH)
  if(NOT found_${name})
    message(FATAL_ERROR "The header ${name} is missing; install the package ${package}.")
  endif()
  file(COPY "${found_${name}}/${name}" DESTINATION "${LATENSIFY_SYSTEM_HEADERS}")
endforeach()
