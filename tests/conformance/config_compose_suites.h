// Suites of golden/config about overrides, composition, sweeps and the command line.
#pragma once

#include <vector>

#include "tests/conformance/suite.h"

namespace fathom::conformance {

void add_config_compose_suites(std::vector<Suite>& suites);

}  // namespace fathom::conformance
