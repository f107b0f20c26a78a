# Versions: read by CMake (include), by ./dev (grep) and by the installed package. The libtorch that ./dev fetches, and
# what its CUDA names need, is pinned in libtorch_wheels.txt.
set(FATHOM_VERSION 0.1.0)
set(FATHOM_ABI_MAJOR 0)
set(FATHOM_ABI_MINOR 2)

set(FATHOM_LIBTORCH_PYTHON_TAG cp311)          # any tag will do: only the C++ members are unpacked
set(FATHOM_CLANG_FORMAT_VERSION 18.1.8)        # the formatter of ./dev lint, from PyPI so that it is the same everywhere
set(FATHOM_LIBTORCH_MINIMUM 2.11)               # oldest version that configures, and that plugins on the stable ABI load with
