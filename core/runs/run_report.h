// What a training says when it is over: its metrics, last and best, and where its files are. No torch. Thread-safe: no
// state.
#pragma once

#include <string>

#include "core/planning/run_request.h"

namespace fathom::runs {

// Lines for people. The best values come from the run's metrics.csv, which holds those of the runs it goes on from too;
// where there is none, the last ones are all that is known.
std::string run_report(const RunSummary& summary);

}  // namespace fathom::runs
