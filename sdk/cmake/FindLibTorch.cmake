# Finds the CPU part of libtorch: LibTorch::headers, LibTorch::c10, LibTorch::torch_cpu, and LibTorch_VERSION.
# FATHOM_LIBTORCH is either the layout ./dev unpacks (ROOT/torch/{lib,include}) or a plain libtorch (ROOT/{lib,include}).
# libtorch.so itself is never linked: it would pull in libtorch_cuda.so.
find_path(LibTorch_INCLUDE_DIR torch/headeronly/version.h
  HINTS ${FATHOM_LIBTORCH}/torch/include ${FATHOM_LIBTORCH}/include NO_DEFAULT_PATH)
find_library(LibTorch_CPU torch_cpu HINTS ${FATHOM_LIBTORCH}/torch/lib ${FATHOM_LIBTORCH}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10 c10 HINTS ${FATHOM_LIBTORCH}/torch/lib ${FATHOM_LIBTORCH}/lib NO_DEFAULT_PATH)
if(LibTorch_INCLUDE_DIR)
  file(STRINGS ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h _fathom_v REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" _fathom_v "${_fathom_v}")
  string(REPLACE ";" "." LibTorch_VERSION "${_fathom_v}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU LibTorch_C10 LibTorch_INCLUDE_DIR VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Set FATHOM_LIBTORCH to an unpacked libtorch, or run ./dev build, which fetches one.")
if(LibTorch_FOUND AND NOT TARGET LibTorch::torch_cpu)
  add_library(LibTorch::headers INTERFACE IMPORTED)
  set_target_properties(LibTorch::headers PROPERTIES
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
    INTERFACE_INCLUDE_DIRECTORIES "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
    INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1   # libtorch's own fmt headers come first, and it exports no fmt
    INTERFACE_COMPILE_FEATURES cxx_std_20)
  foreach(_fathom_lib IN ITEMS c10 torch_cpu)
    string(REPLACE "torch_cpu" "CPU" _fathom_var ${_fathom_lib})
    string(TOUPPER ${_fathom_var} _fathom_var)
    add_library(LibTorch::${_fathom_lib} SHARED IMPORTED)
    set_target_properties(LibTorch::${_fathom_lib} PROPERTIES
      IMPORTED_LOCATION ${LibTorch_${_fathom_var}} IMPORTED_NO_SONAME FALSE INTERFACE_LINK_LIBRARIES LibTorch::headers)
  endforeach()
  set_property(TARGET LibTorch::torch_cpu APPEND PROPERTY INTERFACE_LINK_LIBRARIES LibTorch::c10)
endif()
