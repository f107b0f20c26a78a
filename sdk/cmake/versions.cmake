# Every pinned version, once. Read by CMake (include), by ./dev (grep) and by the installed package.
# Bumping libtorch: change the version and the wheel hashes, run `./dev test`.
set(FATHOM_VERSION 0.1.0)
set(FATHOM_ABI_MAJOR 0)
set(FATHOM_ABI_MINOR 2)

set(FATHOM_LIBTORCH_VERSION 2.11.0)            # newest version built and tested; 2.15 also configures
set(FATHOM_LIBTORCH_PYTHON_TAG cp311)          # any tag will do: only the C++ members are unpacked
set(FATHOM_CUDA_RUNTIME_VERSION 13.0.96)       # libtorch_cpu.so NEEDs libcudart.so.13 and libcupti.so.13,
set(FATHOM_CUDA_CUPTI_VERSION 13.0.85)         # also where no GPU exists
set(FATHOM_CLANG_FORMAT_VERSION 18.1.8)        # the formatter of ./dev lint, from PyPI so that it is the same everywhere
set(FATHOM_LIBTORCH_MINIMUM 2.11)               # oldest version that configures
