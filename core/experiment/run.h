// The third step of a run (run_plan.h, run_parts.h): its folder, its loggers, the trainer.
#pragma once

#include <functional>

#include "core/experiment/run_parts.h"

namespace fathom {

// Trains, then tests where there is test data. From here on files are written. The summary so far is in `summary` also
// when it throws. `request`: what the run's folder keeps of how it was called.
void run_training(const RunPlan& plan, RunParts parts, const RunRequest& request, RunSummary& summary);
void run_evaluation(const RunPlan& plan, RunParts parts, RunSummary& summary);
// What the model's predict step knows of each item, in order, goes to `emit`.
void run_predict(const RunPlan& plan, RunParts parts, RunSummary& summary,
                 const std::function<void(const Json& item)>& emit);

}  // namespace fathom
