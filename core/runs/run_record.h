// run.json: what a run says of itself in its folder, so that others see its state without asking the process. No torch.
//
// Written in one step at the start ({"status": "running", pid, host, …}) and again at the end, with what --json-summary
// gives and, of a run that failed, its error. A process that was killed leaves "running" behind: whoever reads it asks
// whether the process is still there. Thread-safe: no state.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/planning/component_plan.h"
#include "core/planning/run_request.h"

namespace fathom::runs {

inline constexpr const char* kRunFile = "run.json";

// What is known of a run when it starts.
struct RunStart {
  std::string folder, name, version;
  std::string resumed_from;  // a checkpoint, or ""
  std::vector<MonitoredMetric> monitors;
  std::vector<std::string> command_line;
};

// Calls `run`, with a record of `start` before it, and after it one of what became of `summary`, whose `monitors` it
// sets; what `run` throws goes on. A record that cannot be written is a warning: the run is worth more.
void keep_record(const RunStart& start, RunSummary& summary, const std::function<void()>& run);

// The record in a folder; nothing where there is none. Throws Error: kBadData for what is no record, kIo.
std::optional<Json> read_record(const std::string& folder);

// Whether the process that wrote the record is still at work. Nothing where it cannot be known: it runs elsewhere.
std::optional<bool> is_at_work(const Json& record);

// The document with U+FFFD for every byte of its texts that is not UTF-8: paths may hold any, JSON may not.
Json with_utf8(Json document);

// record[key] where it is there and of that type; else the default.
std::string text_at(const Json& record, const char* key);
std::optional<int64_t> count_at(const Json& record, const char* key);
std::optional<double> number_at(const Json& record, const char* key);

}  // namespace fathom::runs
