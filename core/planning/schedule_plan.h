// What a model's `optim` section asks for, decided without torch: which optimizer with which options, which schedule
// over how many steps. Follows NeMo 3.0.0 (nemo.core.optim, ModelPT.setup_optimization); recorded in the golden folders
// `optimizers` and `schedulers`. Pure functions; every failure is an Error (kFailed).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fathom/support.h"

namespace fathom::training {

// Options of an optimizer from the `args` of the section: null -> {}; a map as it is; {name: auto, …} or {name:
// adam_params, params: {…}} -> NeMo's parameter class with overrides; {_target_: nemo.core.config.AdamParams, …} ->
// that class.
// `config_path` names the section in messages.
Json parse_optimizer_args(const std::string& optimizer_name, const Json& args,
                          const std::string& config_path = "optim.args");

struct OptimizerPlan {
  std::string name;  // registered name or class path; "adam" when the section names none
  Json options;
  Json sched;  // the `sched` section; null when there is none

  // The options with the name: what the optimizer is made from.
  Json section() const;
};
// Hydra's old spellings `cls` and `params` are read, here and in plan_lr_scheduler.
OptimizerPlan plan_optimizer(const Json& optim, const std::string& config_path = "optim");

// Steps of a training run. `limit_train_batches` is an int (that many batches) or a float (a share of them; exactly 0.0
// is none): 1 and 1.0 differ. batch_size and accumulate_grad_batches of 0 fail.
int64_t compute_max_steps(int64_t max_epochs, int64_t accumulate_grad_batches, const Json& limit_train_batches,
                          int64_t num_workers, int64_t num_samples, int64_t batch_size, bool drop_last);

struct TrainLoaderSize {
  int64_t num_samples = 0, batch_size = 0;
  bool drop_last = false;
};

struct SchedulePlan {
  bool use = false;
  std::string reason;  // why there is none, when !use
  Json section;        // the scheduler's own: name (registered or class path) and its options, no max_steps
  std::optional<double> max_steps;      // a whole number unless the config gave another; for schedulers that take one
  std::optional<std::string> interval;  // none: the scheduler decides
  int64_t frequency = 1;
  std::string monitor = "loss";
};
// What NeMo's prepare_lr_scheduler decides: none when the section asks for no scheduler, or when the number of steps is
// not known (`loader` is none, max_steps is -1). An explicit sched.max_steps wins over what the data would give.
SchedulePlan plan_lr_scheduler(const Json& sched, const std::optional<TrainLoaderSize>& loader,
                               const std::string& config_path);

struct TrainingFacts;
// The same with what the trainer knows filled in, as ModelPT.setup_optimization does: trainer.max_steps, or epochs and
// data. A dataset_size of 0 stands for an unknown one.
SchedulePlan plan_schedule(const Json& section, const std::string& config_path, const TrainingFacts& facts);

}  // namespace fathom::training
