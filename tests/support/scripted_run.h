// Whole training runs (planned, made, run) of a model of one layer whose metrics are written down beforehand, with the
// real trainer, callbacks from their plugins, and files in a folder.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/experiment/run.h"
#include "fathom/callback.h"

namespace fathom {

// What a run logs, and who looks on. Outlives the run.
struct Script {
  std::vector<double> val_loss;  // value of the n-th validation; the last one repeats. Empty: nothing is logged
  std::string val_name = "val_loss";
  std::vector<double> train_x;  // logged as x at each training step, over and over
  size_t validations = 0, batches = 0;
  // Called at every event under Lightning's name for the hook, after all callbacks of the config.
  std::function<void(const std::string& hook, Trainer& trainer)> look;
};

// The sections trainer and model: `batches` of one item, one batch of validation unless `validates` is false, SGD, no
// loggers, no sanity check, nothing shown. What `trainer` says stands.
RunRequest scripted_request(Json trainer, int64_t batches, bool validates = true);

// Runs it by `script`. Throws what the run throws; the summary so far is in `summary` also then. `made`: called between
// making and running.
void run_scripted(const RunRequest& request, Script& script, RunSummary& summary,
                  const std::function<void(const RunPlan& plan, RunParts& parts)>& made = nullptr);

}  // namespace fathom
