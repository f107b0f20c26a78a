// An optimizer plugin, its schedule and the parameters they work on: everything between gradients and new weights.
//
// Used by the training thread only. The optimizer and the scheduler are plugins, held by the same handles as anywhere.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/archive/pickle_value.h"
#include "core/planning/accumulation_plan.h"
#include "core/training/parameters.h"
#include "fathom/optimizer.h"
#include "fathom/scheduler.h"

namespace fathom::training {

// What the trainer knows and a schedule may need (NeMo derives max_steps from these).
struct TrainingFacts {
  int64_t max_steps = -1, max_epochs = -1;
  int64_t dataset_size = 0, batch_size = 1;
  bool drop_last = false;
  AccumulationPlan accumulate_grad_batches;
  Json limit_train_batches = 1.0;
};

class Optimization {
 public:
  // `section` is model.optim: name (or _target_), the optimizer's options, `sched`. `groups` is
  // model.optim_param_groups. `modules`: the paths of the modules whose parameters it takes; empty: all.
  Optimization(const Json& section, const std::string& config_path, const torch::nn::Module& model, const Json& groups,
               const TrainingFacts& facts, const std::vector<std::string>& modules = {});

  // One update from the gradients that are there, then the schedule, when it counts steps.
  void step();
  // The two apart: a model that optimizes by hand moves its schedules on itself. `monitor` may be null.
  void update_parameters();
  void move_schedule(const double* monitor);
  void zero_grad();
  // At the end of an epoch; schedules that count epochs move on.
  void end_epoch();
  // After a validation; `metrics` looks a name up. Schedules that watch a metric move on.
  using MetricLookup = std::optional<double> (*)(void* ctx, const std::string& name);
  void end_validation(MetricLookup lookup, void* ctx);
  // From now on the rates follow another scheduler, named and given its options by `section`. It starts from the rates
  // in force, at its own interval. `path` names the section in messages.
  void replace_schedule(const Json& section, const std::string& path);
  // The section of the scheduler that replaced the first one; null where none did.
  const Json& replacement() const { return replacement_; }

  const NamedTensors& parameters() const { return parameters_; }
  size_t group_count() const { return group_count_; }
  bool has_schedule() const { return static_cast<bool>(scheduler_); }
  // "step" or "epoch"; empty without a schedule.
  std::string_view schedule_interval() const { return scheduler_ ? std::string_view(interval_) : ""; }
  double option(size_t group, std::string_view name) const;
  const std::string& class_name() const { return class_name_; }

  // PyTorch's layout: {"state": {index: {…}}, "param_groups": [{…, "params": [index…]}]}.
  checkpoint::PickleValue optimizer_state() const;
  void load_optimizer_state(const checkpoint::PickleValue& state, const std::string& source);
  // Null without a schedule.
  checkpoint::PickleValue scheduler_state() const;
  void load_scheduler_state(const checkpoint::PickleValue& state, const std::string& source);

 private:
  void make_groups(const Json& section, const std::string& path, const torch::nn::Module& model, const Json& groups,
                   const std::vector<std::string>& modules);
  void make_scheduler(const Json& section, const std::string& path, const TrainingFacts& facts);
  void start_schedule(const Json& section, const std::string& path, const Json& max_steps);
  void apply_rates(const double* monitor);

  NamedTensors parameters_;  // in order of addition to the optimizer
  std::vector<std::vector<int64_t>> group_members_;
  size_t group_count_ = 0;
  std::string class_name_;
  std::vector<fathom_tensor> gradients_;  // reused each step
  OptimizerHandle optimizer_;

  SchedulerHandle scheduler_;
  std::string schedule_path_, interval_ = "step", monitor_ = "val_loss";
  int64_t frequency_ = 1;
  bool needs_monitor_ = false;
  int64_t schedule_step_ = 0;  // PyTorch's last_epoch
  int64_t calls_ = 0;          // optimizer steps or epochs, for `frequency`
  std::vector<double> base_rates_, rates_;
  Json replacement_ = nullptr;
};

// Of all of them, in order.
NamedTensors optimized_parameters(const std::vector<std::unique_ptr<Optimization>>& optimizations);

}  // namespace fathom::training
