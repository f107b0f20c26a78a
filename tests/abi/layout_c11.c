#include "tests/abi/layout.inc"
