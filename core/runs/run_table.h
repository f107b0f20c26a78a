// A list of runs (run_listing.h) put in order, as JSON and as a table for people. No torch. Thread-safe: no state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/runs/run_listing.h"
#include "fathom/json.h"

namespace fathom::runs {

enum class RunOrder { kChanged, kStarted, kName, kState, kEpochs, kStep, kBest };
// "changed", … ; nothing for another word.
std::optional<RunOrder> run_order(const std::string& word);
const std::vector<std::string>& run_order_words();

// Newest, largest, best first; names and states by the alphabet. Runs that lack what is sorted by come last.
void sort_runs(std::vector<RunInfo>& runs, RunOrder order, bool reverse);

Json to_json(const RunInfo& run);
// The table for people, without a line where there are no runs.
std::string runs_text(const std::vector<RunInfo>& runs);

}  // namespace fathom::runs
