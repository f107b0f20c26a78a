// The third step of a run (run_plan.h, run_parts.h): its folder, its loggers, the trainer.
#pragma once

#include "core/experiment/run_parts.h"

namespace fathom {

// Trains, then tests where there is test data. From here on files are written. The summary so far is in `summary` also
// when it throws. `request`: what the run's folder keeps of how it was called.
void run_training(const RunPlan& plan, RunParts parts, const RunRequest& request, RunSummary& summary);
void run_evaluation(const RunPlan& plan, RunParts parts, RunSummary& summary);

}  // namespace fathom
