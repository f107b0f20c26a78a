// A run's config as the flat parameters that Lightning gives to trackers: "model/encoder/dropout", lists of sections by
// number ("train/0/a"), every other value as Python's str().
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fathom/support.h"

namespace fathom::loggers {

// Empty sections and lists give nothing.
std::vector<std::pair<std::string, std::string>> flat_hparams(const Json& config);
std::string python_str(const Json& value);

}  // namespace fathom::loggers
