# fathom_add_plugin(NAME TORCH none|stable|cxx SOURCES file... [LINK target...] [OPENMP file...])
#
# Builds NAME.so: one exported symbol, nothing undefined, never unloaded, its description embedded so that it can be listed
# without loading it. OPENMP names sources that use at::parallel_for (serial without -fopenmp).
# Works in this tree and from the installed package alike.
set(FATHOM_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

function(fathom_add_plugin name)
  cmake_parse_arguments(P "" "TORCH" "SOURCES;LINK;OPENMP" ${ARGN})
  if(NOT P_TORCH MATCHES "^(none|stable|cxx)$")
    message(FATAL_ERROR "fathom_add_plugin(${name}): TORCH must be none, stable or cxx, not '${P_TORCH}'")
  endif()

  # The objects are a target of their own so that unit tests can link them.
  add_library(${name}_objects OBJECT ${P_SOURCES})
  target_link_libraries(${name}_objects PUBLIC Fathom::sdk ${P_LINK})
  set_target_properties(${name}_objects PROPERTIES
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
  if(P_TORCH STREQUAL "none")
    target_compile_definitions(${name}_objects PRIVATE FATHOM_TORCH_USE=0)
  else()
    target_link_libraries(${name}_objects PUBLIC LibTorch::torch_cpu)
    target_compile_definitions(${name}_objects PRIVATE FATHOM_LIBTORCH_VERSION="${LibTorch_VERSION}")
    if(P_TORCH STREQUAL "stable")
      target_compile_definitions(${name}_objects PRIVATE FATHOM_TORCH_USE=1 TORCH_TARGET_VERSION=0x020b000000000000ULL)
    else()
      target_compile_definitions(${name}_objects PRIVATE FATHOM_TORCH_USE=2)
      if(TARGET fathom_plugin_pch)
        target_precompile_headers(${name}_objects REUSE_FROM fathom_plugin_pch)
      endif()
    endif()
  endif()
  if(P_OPENMP)
    set_source_files_properties(${P_OPENMP} PROPERTIES COMPILE_OPTIONS "-fopenmp" SKIP_PRECOMPILE_HEADERS ON)
  endif()

  add_library(${name} MODULE $<TARGET_OBJECTS:${name}_objects>)
  target_link_libraries(${name} PRIVATE ${name}_objects)
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/fathom/plugins)
  target_link_options(${name} PRIVATE
    -Wl,--version-script,${FATHOM_CMAKE_DIR}/plugin.map -Wl,--exclude-libs,ALL -Wl,--no-undefined
    -Wl,-z,nodelete -Wl,-z,now)
endfunction()
