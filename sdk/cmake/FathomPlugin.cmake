# fathom_add_plugin(NAME TORCH none|stable|cxx SOURCES file... [LINK target...] [OPENMP file...] [NO_INSTALL])
#
# Builds NAME.so: one exported symbol, nothing undefined, never unloaded, its description embedded so that it can be listed
# without loading it. OPENMP names sources that use at::parallel_for (serial without -fopenmp).
# Works in this tree and from the installed package alike: Fathom::sdk, Fathom::describe and, unless TORCH is none,
# LibTorch::torch_cpu must be there. NAME_objects holds the objects, for unit tests. Installs to lib/fathom/plugins.
#
# fathom_add_library(NAME TORCH none|cxx SOURCES file... [LINK target...] [OPENMP file...])
#
# A static library that several plugins share, named in their LINK: no entry symbol, nothing exported, so every plugin
# carries a copy of its own. Not installed.
set(FATHOM_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

function(fathom_add_plugin name)
  cmake_parse_arguments(P "NO_INSTALL" "TORCH" "SOURCES;LINK;OPENMP" ${ARGN})
  if(NOT P_TORCH MATCHES "^(none|stable|cxx)$")
    message(FATAL_ERROR "fathom_add_plugin(${name}): TORCH must be none, stable or cxx, not '${P_TORCH}'")
  endif()

  fathom_need_torch_(fathom_add_plugin ${name} ${P_TORCH})
  fathom_refuse_flags_()
  if(NOT CMAKE_OBJCOPY)
    message(FATAL_ERROR "fathom_add_plugin(${name}): objcopy (binutils) is needed to embed the plugin's description")
  endif()

  # The objects are a target of their own so that unit tests can link them.
  add_library(${name}_objects OBJECT ${P_SOURCES})
  fathom_plugin_code_(${name}_objects "${P_TORCH}" "${P_LINK}" "${P_OPENMP}")

  add_library(${name} MODULE $<TARGET_OBJECTS:${name}_objects>)
  target_link_libraries(${name} PRIVATE ${name}_objects)
  # Private libraries of an installed plugin lie beside it or in its lib/; libtorch is the program's.
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/fathom/plugins
    INSTALL_RPATH "$ORIGIN;$ORIGIN/lib")
  target_link_options(${name} PRIVATE
    -Wl,--version-script,${FATHOM_CMAKE_DIR}/plugin.map -Wl,--exclude-libs,ALL -Wl,--no-undefined
    -Wl,-z,nodelete -Wl,-z,now)

  if(NOT P_NO_INSTALL)
    install(TARGETS ${name} LIBRARY DESTINATION lib/fathom/plugins)
  endif()

  # The plugin describes itself, and the description becomes a section of the file: listing never loads it.
  set(library_path $ENV{LD_LIBRARY_PATH})
  if(NOT P_TORCH STREQUAL "none")
    get_target_property(torch_library LibTorch::torch_cpu IMPORTED_LOCATION)
    get_filename_component(torch_folder ${torch_library} DIRECTORY)
    list(PREPEND library_path ${torch_folder})
  endif()
  string(REPLACE ";" ":" library_path "${library_path}")
  set(description ${CMAKE_CURRENT_BINARY_DIR}/${name}.plugin.json)
  if(TARGET fathom-describe)
    add_dependencies(${name} fathom-describe)
  endif()
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E env "LD_LIBRARY_PATH=${library_path}" $<TARGET_FILE:Fathom::describe> $<TARGET_FILE:${name}> -o ${description}
    COMMAND ${CMAKE_OBJCOPY} --remove-section .fathom.plugin --add-section .fathom.plugin=${description} $<TARGET_FILE:${name}>
    BYPRODUCTS ${description} VERBATIM)
endfunction()

function(fathom_add_library name)
  cmake_parse_arguments(P "" "TORCH" "SOURCES;LINK;OPENMP" ${ARGN})
  if(NOT P_TORCH MATCHES "^(none|cxx)$")
    message(FATAL_ERROR "fathom_add_library(${name}): TORCH must be none or cxx, not '${P_TORCH}'")
  endif()
  fathom_need_torch_(fathom_add_library ${name} ${P_TORCH})
  fathom_refuse_flags_()
  add_library(${name} STATIC ${P_SOURCES})
  fathom_plugin_code_(${name} "${P_TORCH}" "${P_LINK}" "${P_OPENMP}")
endfunction()

function(fathom_need_torch_ function name torch)
  if(torch STREQUAL "cxx" AND Fathom_cxx_UNAVAILABLE)
    message(FATAL_ERROR "${function}(${name} TORCH cxx): ${Fathom_cxx_UNAVAILABLE}.")
  elseif(NOT torch STREQUAL "none" AND NOT TARGET LibTorch::torch_cpu)
    message(FATAL_ERROR "${function}(${name} TORCH ${torch}): libtorch was not found; set FATHOM_LIBTORCH.")
  endif()
endfunction()

# How code that ends up in a plugin is compiled.
function(fathom_plugin_code_ target torch link openmp)
  set_property(GLOBAL APPEND PROPERTY FATHOM_PLUGIN_CODE ${target})
  target_link_libraries(${target} PUBLIC Fathom::sdk ${link})
  set_target_properties(${target} PROPERTIES
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
  if(torch STREQUAL "none")
    target_compile_definitions(${target} PRIVATE FATHOM_TORCH_USE=0)
  else()
    target_link_libraries(${target} PUBLIC LibTorch::torch_cpu)
    if(torch STREQUAL "stable")
      # Of libtorch's stable ABI it uses what the oldest supported version has, whatever version it is built with: that
      # is the version it asks for when it is loaded.
      string(REPLACE "." ";" oldest ${FATHOM_LIBTORCH_MINIMUM})
      list(GET oldest 0 major)
      list(GET oldest 1 minor)
      math(EXPR target_version "(${major} << 56) | (${minor} << 48)" OUTPUT_FORMAT HEXADECIMAL)
      target_compile_definitions(${target} PRIVATE FATHOM_TORCH_USE=1 TORCH_TARGET_VERSION=${target_version}ULL
        FATHOM_LIBTORCH_VERSION="${FATHOM_LIBTORCH_MINIMUM}")
    else()
      target_compile_definitions(${target} PRIVATE FATHOM_TORCH_USE=2 FATHOM_LIBTORCH_VERSION="${LibTorch_VERSION}")
      if(TARGET fathom_plugin_pch)
        target_precompile_headers(${target} REUSE_FROM fathom_plugin_pch)
      endif()
    endif()
  endif()
  if(openmp)
    set_source_files_properties(${openmp} PROPERTIES COMPILE_OPTIONS "-fopenmp" SKIP_PRECOMPILE_HEADERS ON)
    # Names libgomp.so.1, which is the copy that libtorch has mapped: one pool of threads in the process.
    target_link_options(${target} PUBLIC -fopenmp)
  endif()
endfunction()

# Exceptions, type information and the C++ library are shared between the program and its plugins.
function(fathom_refuse_flags_)
  get_directory_property(options COMPILE_OPTIONS)
  get_directory_property(link_options LINK_OPTIONS)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  set(all "${CMAKE_CXX_FLAGS};${CMAKE_CXX_FLAGS_${type}};${options};${link_options};${CMAKE_MODULE_LINKER_FLAGS}")
  string(REPLACE " " ";" all "${all}")
  foreach(flag IN ITEMS -static-libstdc++ -static-libgcc -fno-rtti -fno-exceptions)
    if(flag IN_LIST all)
      message(FATAL_ERROR "A plugin cannot be built with ${flag}: it shares exceptions, type information and the C++ "
        "library with the program that loads it. Remove the flag.")
    endif()
  endforeach()
endfunction()
