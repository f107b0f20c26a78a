// The trainer section: Lightning's flags with its defaults, and what a single process makes of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/planning/precision.h"
#include "fathom/options.h"

namespace fathom {

struct TrainerOptions {
  std::string accelerator = "auto";
  Json devices = "auto";
  int64_t num_nodes = 1;
  std::string strategy = "auto";
  Json precision = "32-true";
  Json plugins = nullptr;  // Lightning's precision plugins

  std::optional<int64_t> max_epochs, min_epochs;
  std::optional<int64_t> max_steps = -1;
  std::optional<int64_t> min_steps;
  std::optional<std::string> max_time;

  Json limit_train_batches = 1.0, limit_val_batches = 1.0, limit_test_batches = 1.0, limit_predict_batches = 1.0;
  Json overfit_batches = 0.0;
  Json fast_dev_run = false;
  Json val_check_interval = 1.0;
  std::optional<int64_t> check_val_every_n_epoch = 1;
  std::optional<int64_t> num_sanity_val_steps = 2;
  int64_t log_every_n_steps = 50;

  Json accumulate_grad_batches = int64_t{1};  // or {epoch: batches}, Lightning 1.x's spelling of a callback
  std::optional<double> gradient_clip_val;
  std::optional<std::string> gradient_clip_algorithm;
  // True scales the last, shorter accumulation window of an epoch by its own length; false divides by
  // accumulate_grad_batches always, as Lightning does.
  bool scale_partial_accumulation = true;

  Json logger = true;
  Json callbacks = nullptr;
  bool enable_checkpointing = true, enable_progress_bar = true, enable_model_summary = true;
  std::optional<bool> inference_mode = true;
  Json deterministic = nullptr;
  bool detect_anomaly = false;
  std::optional<std::string> default_root_dir;
  std::optional<std::string> nan_loss;  // ours: what becomes of a loss that is not finite (training/loss_policy.h)
  Json ckpt_every = nullptr;            // ours: time between safety checkpoints

  // Accepted because configs carry them; on one CPU process they change nothing, and `check` refuses the values that
  // would.
  std::optional<bool> benchmark;
  bool use_distributed_sampler = true;
  bool sync_batchnorm = false;
  int64_t reload_dataloaders_every_n_epochs = 0;
  // Lightning 1.x's spellings of callbacks: the norm to log (2, 1.5, inf; -1 for none), and averaged weights.
  Json track_grad_norm = int64_t{-1};
  bool stochastic_weight_avg = false;
  Json profiler = nullptr;
  bool barebones = false;

  std::optional<std::string> max_time_per_run;  // exp_manager's: unlike max_time it does not count earlier runs
  PrecisionPlan precision_plan;                 // what `precision` and `plugins` come to; set by read_trainer_options()

  static void describe(OptionSet<TrainerOptions>& o);
};

// Whether this value of track_grad_norm asks for nothing.
bool tracks_no_norm(const Json& track_grad_norm);

// Parses and checks a trainer section: every refusal names the key, the value and what to write instead.
TrainerOptions read_trainer_options(const Json& section, const std::string& config_path);
// The same as written, without what a run makes of it. Throws as that does, and says nothing.
TrainerOptions check_trainer_options(const Json& section, const std::string& config_path);

}  // namespace fathom
