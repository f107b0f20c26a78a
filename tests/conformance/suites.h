// The suites this runner was built with.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/suite.h"

namespace fathom::conformance {

std::vector<Suite> all_suites();
// The suite that covers `name`, the most specific one; null when none does.
const Suite* find_suite(const std::vector<Suite>& suites, const std::string& name);

}  // namespace fathom::conformance
