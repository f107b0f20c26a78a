# How this tree is built: flags, folders, and the functions its CMakeLists share. Not installed.
include(GNUInstallDirs)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")          # assertions of ours stay on; -g alone would add 17 s to each torch file
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(FATHOM_PLUGIN_DIR lib/fathom/plugins)   # below the prefix and below the build tree alike

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)   # lets ccache see through precompiled headers
  endif()
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  # mold 1.10 lets RELRO begin at an empty TLS section, which about one time in 500 lies in a page that is not mapped: then
  # nothing loads ("cannot apply additional memory protection"). With each segment on a page of its own it never does.
  add_link_options(-fuse-ld=mold -Wl,-z,separate-loadable-segments)
endif()

add_compile_options(-Wall -Wextra -Winvalid-pch)
if(FATHOM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(FATHOM_SANITIZE)
  add_compile_options(-fsanitize=${FATHOM_SANITIZE} -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${FATHOM_SANITIZE})
endif()

# Tests are compiled more often than they are run. Not -O0: gcc would refuse the precompiled headers, which were made with
# -O2, and from 13 on it refuses them to -O1 too.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  set(FATHOM_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)
endif()

# Headers every torch file of the engine, of a plugin or of a test would otherwise parse again (10 s). No more of them than
# most files use: gcc instantiates what their inline functions use anew in each file (3 s now, 10 s with <torch/nn.h>).
set(FATHOM_TORCH_PCH
  <algorithm> <functional> <map> <memory> <optional> <string> <string_view> <unordered_map> <vector>
  <ATen/ATen.h> <torch/nn/module.h> <fathom/json.h>)

# fathom_reuse_pch(TARGET OWNER): gcc takes OWNER's header only where the macros it was compiled with are the same.
function(fathom_reuse_pch target owner)
  target_precompile_headers(${target} REUSE_FROM ${owner})
  target_compile_options(${target} PRIVATE -fPIC)   # the header was compiled so: gcc would refuse it to -fPIE
  target_compile_definitions(${target} PRIVATE $<TARGET_PROPERTY:${owner},COMPILE_DEFINITIONS>)
endfunction()

# fathom_unity(TARGET): compiles about a dozen sources of TARGET in one run of the compiler. What a file includes and instantiates
# (the SDK, JSON, libtorch) takes several times as long as the file itself. A file's own name picks its run, so a new file
# recompiles one run and moves no other (until their number doubles). Files with flags of their own stay apart, those without the
# precompiled header share runs of their own. Paths are relative to the tree: clones share the compiler cache.
# Call it when TARGET is complete. Names in anonymous namespaces may clash: rename one, or set SKIP_UNITY_BUILD_INCLUSION.
function(fathom_unity target)
  get_target_property(sources ${target} SOURCES)
  get_target_property(folder ${target} SOURCE_DIR)
  list(LENGTH sources length)
  set(runs 1)
  set(room 14)
  while(room LESS length)
    math(EXPR runs "2 * ${runs}")
    math(EXPR room "14 * ${runs}")
  endwhile()
  if(NOT FATHOM_UNITY OR length EQUAL 1)
    return()
  endif()
  set(apart)
  set(units)
  foreach(source IN LISTS sources)
    get_filename_component(source ${source} ABSOLUTE BASE_DIR ${folder})
    foreach(property COMPILE_OPTIONS COMPILE_DEFINITIONS SKIP_UNITY_BUILD_INCLUSION SKIP_PRECOMPILE_HEADERS)
      get_source_file_property(${property} ${source} TARGET_DIRECTORY ${target} ${property})
    endforeach()
    if(COMPILE_OPTIONS OR COMPILE_DEFINITIONS OR SKIP_UNITY_BUILD_INCLUSION)
      list(APPEND apart ${source})
      continue()
    endif()
    file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${source})
    string(MD5 hash ${name})
    string(SUBSTRING ${hash} 0 7 hash)
    math(EXPR unit "0x${hash} % ${runs}")
    if(SKIP_PRECOMPILE_HEADERS)
      string(PREPEND unit plain_)
    endif()
    list(APPEND units ${unit})
    string(APPEND text_${unit} "#include \"${name}\"\n")
  endforeach()
  list(REMOVE_DUPLICATES units)
  foreach(unit IN LISTS units)
    set(file ${PROJECT_BINARY_DIR}/unity/${target}_${unit}.cc)
    file(CONFIGURE OUTPUT ${file} CONTENT "${text_${unit}}" @ONLY)
    list(APPEND apart ${file})
    if(unit MATCHES "^plain_")
      set_source_files_properties(${file} TARGET_DIRECTORY ${target} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
  set_property(TARGET ${target} PROPERTY SOURCES ${apart})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
endfunction()

# fathom_test(NAME file_test.cc... [LINK target...] [TORCH] [PCH_FROM target] [LABELS ...])
# Unit tests stand beside their source. Targets are made at the end of configuration so that any target may be linked.
function(fathom_test name)
  cmake_parse_arguments(T "TORCH" "PCH_FROM;TIMEOUT" "LINK;LABELS" ${ARGN})
  list(TRANSFORM T_UNPARSED_ARGUMENTS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  string(JOIN "|" sources ${T_UNPARSED_ARGUMENTS})
  string(JOIN "|" link ${T_LINK})
  string(JOIN "|" labels ${T_LABELS})
  set_property(GLOBAL APPEND PROPERTY FATHOM_TESTS "${name}@${sources}@${link}@${T_TORCH}@${T_PCH_FROM}@${labels}@${T_TIMEOUT}")
endfunction()

function(fathom_add_collected_tests)
  include(GoogleTest)
  get_property(entries GLOBAL PROPERTY FATHOM_TESTS)
  foreach(entry IN LISTS entries)
    string(REPLACE "@" ";" fields "${entry}")
    list(GET fields 0 name)
    list(GET fields 1 sources)
    list(GET fields 2 link)
    list(GET fields 3 torch)
    list(GET fields 4 pch)
    list(GET fields 5 labels)
    list(GET fields 6 timeout)
    string(REPLACE "|" ";" sources "${sources}")
    string(REPLACE "|" ";" link "${link}")
    string(REPLACE "|" ";" labels "${labels}")
    if(NOT timeout)
      set(timeout 120)
    endif()
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE ${link} GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name} PRIVATE
      FATHOM_SOURCE_DIR="${PROJECT_SOURCE_DIR}" FATHOM_BINARY_DIR="${PROJECT_BINARY_DIR}")
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_compile_options(${name} PRIVATE ${FATHOM_TEST_OPTIONS})
    if(pch)
      fathom_reuse_pch(${name} ${pch})
      if(pch STREQUAL fathom_plugin_pch)  # a precompiled header wants the flags it was made with
        set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
      endif()
    endif()
    fathom_unity(${name})
    # One ctest entry per program: a process start with libtorch costs 0.3 s, hundreds of them would be minutes.
    add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
    # What may take longest begins first (COST), so that the others run beside it.
    set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} COST ${timeout} ENVIRONMENT "OMP_NUM_THREADS=1"
      LABELS "${labels}")
  endforeach()
endfunction()
