// Cases that deliberately differ from the recorded truth: tests/golden/deviations.yaml.
//
//   - cases: [config/interpolation/interpolation.custom.*]     # suite/id, with * and ?
//     reason: what differs, and why that is right
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/suite.h"

namespace fathom::conformance {

struct Deviation {
  std::vector<std::string> patterns;
  std::string reason;
};

// Empty when the file does not exist. Throws fathom::Error for one that is not of this form.
std::vector<Deviation> read_deviations(const std::string& path);
const Deviation* find_deviation(const std::vector<Deviation>& deviations, const Case& item);
bool matches_glob(const std::string& pattern, const std::string& text);

}  // namespace fathom::conformance
