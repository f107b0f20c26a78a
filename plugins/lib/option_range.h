// Bounds of options that only multiply when a module runs: a config of a stranger must fail when it is read, by the
// name of the option, and not when memory is gone.
#pragma once

#include <cstdint>
#include <string>

#include "fathom/error.h"

namespace fathom {

inline void check_range(const std::string& option, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  throw Error(Code::kFailed, "option '" + option + "' is out of range")
      .at(option)
      .seen(std::to_string(value))
      .expected(std::to_string(least) + " to " + std::to_string(most));
}

}  // namespace fathom
