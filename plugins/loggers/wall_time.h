// The time as log files have it.
#pragma once

#include <chrono>

namespace fathom::loggers {

// Seconds since 1970.
inline double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace fathom::loggers
