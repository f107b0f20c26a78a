// The runs below a folder, ours, NeMo's and Lightning's, with what their files say of them. Reads, writes nothing. No
// torch. Thread-safe: no state.
//
// What run.json (run_record.h) says is taken as it is. Without one, or of a run that has not ended, epochs and steps
// come from metrics.csv and from the names of checkpoints, the best value from the column of the monitored metric;
// whatever cannot be known so is absent, and a state that cannot be known is "unknown".
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fathom/error.h"

namespace fathom::runs {

struct RunInfo {
  std::string folder;         // as reached from the folder that was asked about
  std::string name, version;  // of the experiment, and of the run in it ("" where it has none)
  // finished (a limit was reached), stopped (somebody asked for it), interrupted (after a signal, resumable), failed,
  // running, killed (its process is gone without a word), unknown
  std::string state = "unknown";
  std::string reason;             // of the state, or the error of a failed run
  std::string host;               // of a running one on another machine, whose process cannot be looked at; else ""
  bool recorded = false;          // by run.json
  std::optional<int64_t> epochs;  // done; of a run that recorded no end: begun
  std::optional<int64_t> global_step;  // optimizer steps
  std::string monitor, mode;           // of the checkpoints
  std::optional<double> best;          // of the monitored metric
  std::string best_checkpoint;         // "" where none is known
  std::string started;                 // UTC, ISO 8601; "" where it is not known
  std::optional<double> changed;       // when a file of the run was written last, in seconds since 1970
};

struct ListOptions {
  bool set_aside = false;  // also the run_N in a run's folder, where exp_manager puts the files of earlier runs
};
// Hears of a file or folder that could not be read; the listing goes on without what it would have told.
using OnProblem = std::function<void(const Error& problem)>;

// In no order. Throws Error(kNoInput) when `root` is no folder. Links to folders are not followed.
std::vector<RunInfo> find_runs(const std::string& root, const ListOptions& options, const OnProblem& on_problem);
// What the folder of one run says.
RunInfo read_run(const std::string& folder, const OnProblem& on_problem);
// Whether a run has written into this very folder.
bool is_run_folder(const std::string& folder);

}  // namespace fathom::runs
