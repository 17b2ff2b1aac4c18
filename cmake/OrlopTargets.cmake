# The few shapes that a target takes here. One folder is one library.
#
#   orlop_library(NAME SOURCES a.cpp … DEPS lib …)        a static library, its folder's headers as "<area>/<folder>/x.hpp"
#   orlop_executable(NAME SOURCES … DEPS …)               a program in bin/
#   orlop_plugin(NAME SOURCES … DEPS …)                   lib/orlop/plugins/NAME.so with ./manifest.yaml inside
#   orlop_test(NAME SOURCES … DEPS … [ROOT] [LABELS …] [TIMEOUT s])
#                                                         a GoogleTest program, each of its tests known to CTest; ROOT: needs root
#   orlop_proto(NAME PROTOS a.proto … [ROOT_DIR d] [DEPS …])  a library from protobuf files

include(GoogleTest)

# A test's own code is not optimised: what it tests is. A quarter of a build went there.
set(ORLOP_TEST_OPTIONS $<$<CONFIG:Release>:-O0>)

# Which header of sdk/precompiled the targets of a folder and of those below it take: standard or kubernetes.
set(ORLOP_PRECOMPILED standard)

# Gives TARGET the precompiled header of its folder; SUFFIX is "_test" for tests. The compiler takes such a header only
# where every macro in it is as it was: fmt's library brings one.
function(orlop_precompiled target suffix)
  target_link_libraries(${target} PRIVATE fmt::fmt)
  target_precompile_headers(${target} REUSE_FROM orlop_precompiled_${ORLOP_PRECOMPILED}${suffix})
endfunction()

# ASIO and Beast parts that are compiled once.
set(ORLOP_ASIO_DEFINITIONS BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)

function(orlop_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}")
    target_link_libraries(${name} PUBLIC ${arg_DEPS} PRIVATE orlop_warnings)
    orlop_precompiled(${name} "")
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE "${CMAKE_SOURCE_DIR}")
    target_link_libraries(${name} INTERFACE ${arg_DEPS})
  endif()
endfunction()

function(orlop_executable name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_DEPS} orlop_warnings)
  orlop_precompiled(${name} "")
endfunction()

function(orlop_plugin name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  set(manifest "${CMAKE_CURRENT_SOURCE_DIR}/manifest.yaml")
  set(embed "${CMAKE_CURRENT_BINARY_DIR}/${name}-manifest.S")
  file(WRITE "${embed}.new"
    ".section orlop_manifest,\"a\",@progbits\n.incbin \"${manifest}\"\n.section .note.GNU-stack,\"\",@progbits\n")
  file(COPY_FILE "${embed}.new" "${embed}" ONLY_IF_DIFFERENT)
  set_source_files_properties("${embed}" PROPERTIES OBJECT_DEPENDS "${manifest}")
  add_library(${name} MODULE ${arg_SOURCES} "${embed}")
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${ORLOP_PLUGIN_OUTPUT_DIRECTORY}"
    LINK_DEPENDS "${CMAKE_SOURCE_DIR}/sdk/plugin.version")
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_DEPS} orlop_warnings orlop_sdk)
  orlop_precompiled(${name} "")
  target_link_options(${name} PRIVATE "-Wl,--version-script=${CMAKE_SOURCE_DIR}/sdk/plugin.version")
endfunction()

function(orlop_test name)
  cmake_parse_arguments(arg "ROOT" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_DEPS} orlop_warnings GTest::gmock GTest::gtest_main)
  target_compile_options(${name} PRIVATE ${ORLOP_TEST_OPTIONS})
  orlop_precompiled(${name} "_test")
  if(arg_ROOT)
    list(APPEND arg_LABELS root)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_PREFIX "${name}."
    PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
endfunction()

# Messages are compiled into ONE shared library per schema: two copies of a schema in a process abort.
function(orlop_proto name)
  cmake_parse_arguments(arg "" "ROOT_DIR" "PROTOS;DEPS;IMPORTS" ${ARGN})
  if(NOT arg_ROOT_DIR)
    set(arg_ROOT_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  set(out "${CMAKE_CURRENT_BINARY_DIR}/${name}")
  file(MAKE_DIRECTORY "${out}")
  set(generated)
  set(inputs)
  set(import_flags "-I${arg_ROOT_DIR}")
  foreach(directory IN LISTS arg_IMPORTS)
    list(APPEND import_flags "-I${directory}")
  endforeach()
  foreach(proto IN LISTS arg_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
    list(APPEND generated "${out}/${stem}.pb.cc")
    list(APPEND inputs "${arg_ROOT_DIR}/${proto}")
    add_custom_command(OUTPUT "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h"
      COMMAND protobuf::protoc ${import_flags} "--cpp_out=${out}" "${proto}"
      WORKING_DIRECTORY "${arg_ROOT_DIR}"
      DEPENDS "${arg_ROOT_DIR}/${proto}" VERBATIM)
  endforeach()
  add_library(${name} SHARED ${generated})
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET default)
  target_compile_options(${name} PRIVATE -O2 -w)
  target_include_directories(${name} SYSTEM PUBLIC "${out}")
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf ${arg_DEPS})
endfunction()
