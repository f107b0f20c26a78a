// The one part of schedule_plan.h that knows the trainer.
#include "core/planning/schedule_plan.h"
#include "core/training/optimization.h"

namespace fathom::training {

SchedulePlan plan_schedule(const Json& section, const std::string& config_path, const TrainingFacts& facts) {
  Json sched = section;
  if (sched.is_object() && (!sched.contains("max_steps") || sched["max_steps"].is_null())) {
    if (facts.max_steps >= 0) {
      sched["max_steps"] = facts.max_steps;
    } else if (facts.accumulate_grad_batches.varies() && facts.max_epochs >= 0 && facts.dataset_size > 0) {
      // Each epoch by its own count, where Lightning refuses to say and NeMo counts as if none were accumulated.
      sched["max_steps"] =
          facts.accumulate_grad_batches.steps_of(facts.max_epochs, [&](int64_t epochs, int64_t batches) {
            return compute_max_steps(epochs, batches, facts.limit_train_batches, 1, facts.dataset_size,
                                     facts.batch_size, facts.drop_last);
          });
    } else {
      sched["t_max_epochs"] = facts.max_epochs >= 0 ? Json(facts.max_epochs) : Json(nullptr);
      sched["t_accumulate_grad_batches"] = facts.accumulate_grad_batches.at(0);
      sched["t_limit_train_batches"] = facts.limit_train_batches;
      sched["t_num_workers"] = 1;
    }
  }
  std::optional<TrainLoaderSize> loader;
  if (facts.dataset_size > 0) loader = TrainLoaderSize{facts.dataset_size, facts.batch_size, facts.drop_last};
  return plan_lr_scheduler(sched, loader, config_path);
}

}  // namespace fathom::training
