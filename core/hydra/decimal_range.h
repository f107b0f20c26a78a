// The numbers of a range sweep, with the arithmetic the recorded ones were made with: integers stay integers; otherwise
// steps are added as decimals of 28 significant digits (Python's decimal default), rounded half to even.
#pragma once

#include <vector>

#include "core/hydra/override.h"

namespace fathom::config {

// start, start+step, … below (for a negative step: above) stop. Throws ConfigError for a step of 0 and for ranges of
// more than a million numbers (a range to inf has no end).
std::vector<Scalar> range_values(const RangeSweep& range);

}  // namespace fathom::config
