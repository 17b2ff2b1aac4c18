# Language level, warnings and the tools that keep the loop short.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Programs are compiled as libraries are, so that one precompiled header serves both.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(ORLOP_PLUGIN_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib/orlop/plugins")

# Programs and plugins find the shared libraries of this build beside themselves, installed or not.
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib;$ORIGIN/../..")

set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g1")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")

# Hand-written code compiles without a warning; generated code is not held to it. Four kinds are off: g++ 12 raises
# them falsely for its own std::string (its bugs 105329 and 105651), which a precompiled header no longer hides.
add_library(orlop_warnings INTERFACE)
target_compile_options(orlop_warnings INTERFACE -Wall -Wextra -Wpedantic -Werror
  -Wno-missing-field-initializers -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)

# No symbol of a plugin may be unique across the process: see sdk/README.md, "Traps".
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique>)

# The compiler collects its garbage later: a tenth of its time, for half a gigabyte of memory.
add_compile_options("$<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-heapsize=524288;--param=ggc-min-expand=100>")

find_program(ORLOP_CCACHE ccache)
if(ORLOP_CCACHE)
  # Precompiled headers are cached too; see "Precompiled headers" in ccache's manual.
  set(orlop_launcher "${CMAKE_COMMAND}" -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 "${ORLOP_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER ${orlop_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${orlop_launcher})
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()

find_program(ORLOP_MOLD mold)
if(ORLOP_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(ORLOP_SANITIZER "" CACHE STRING "address,undefined or thread: what every target is instrumented with")
if(ORLOP_SANITIZER)
  add_compile_options(-fsanitize=${ORLOP_SANITIZER} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ORLOP_SANITIZER})
endif()
