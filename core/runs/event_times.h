// When the steps of a run were logged, from its TensorBoard event files: metrics.csv does not know. No torch.
// Thread-safe: no state.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace fathom::runs {

// Seconds since 1970 at which each step was logged first, from every events.out.tfevents.* in the folder; empty without
// any. A record that was being written when the run died ends its file. Throws Error: kIo; kBadData for a file that
// does not begin as one of events.
std::map<int64_t, double> event_times(const std::string& folder);

}  // namespace fathom::runs
