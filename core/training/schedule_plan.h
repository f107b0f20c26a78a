// What a `sched` section comes to: which scheduler, over how many steps, called when. NeMo's prepare_lr_scheduler and
// compute_max_steps. No torch.
//
// (The trainer calls plan_schedule; the conformance runner checks both functions.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fathom/support.h"

namespace fathom::training {

struct TrainingFacts;

// Optimizer steps of a training: batches of an epoch per worker, limited, divided by the accumulation (rounded up), times
// epochs. `limit_train_batches`: an int is a count, a float a fraction; exactly 0.0 is a count.
int64_t compute_max_steps(int64_t max_epochs, int64_t accumulate_grad_batches, const Json& limit_train_batches, int64_t num_workers,
                          int64_t num_samples, int64_t batch_size, bool drop_last);

struct SchedulePlan {
  bool use = false;
  std::string reason;                    // why there is none, when !use
  Json section;                          // the scheduler's own: name (or _target_) and its options
  std::optional<int64_t> max_steps;      // given, from trainer.max_steps, or derived from epochs and data
  std::optional<std::string> interval;   // "step" | "epoch" when the section says so; else the scheduler decides
  int64_t frequency = 1;
  std::string monitor = "loss";
};

// `section` is model.optim.sched. Throws Error(kFailed) naming the key for what NeMo refuses.
SchedulePlan plan_schedule(const Json& section, const std::string& config_path, const TrainingFacts& facts);

}  // namespace fathom::training
