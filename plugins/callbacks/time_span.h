// Times in configs: what Lightning takes as a timedelta or as "DD:HH:MM:SS".
#pragma once

#include <string>

#include "fathom/support.h"

namespace fathom::callbacks {

// Seconds of a number, of "DD:HH:MM:SS" (leading parts may be missing) or of {"days", "hours", "minutes", "seconds",
// …}.
double read_time_span(const Json& value, const std::string& where);
// Python's repr of that timedelta.
std::string timedelta_repr(double seconds);

}  // namespace fathom::callbacks
