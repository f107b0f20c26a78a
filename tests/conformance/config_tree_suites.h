// Suites of golden/config about the tree itself: typing, interpolation, merging, printing, structured configs.
#pragma once

#include <vector>

#include "tests/conformance/suite.h"

namespace fathom::conformance {

void add_config_tree_suites(std::vector<Suite>& suites);

}  // namespace fathom::conformance
