// NeMo's exp_manager: where a run's files go, what it resumes from, and which loggers and callbacks it gets. No torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fathom/options.h"

namespace fathom {

struct ExpManagerOptions {
  std::optional<std::string> explicit_log_dir, exp_dir, name, version;
  bool use_datetime_version = true;
  bool resume_if_exists = false, resume_past_end = false, resume_ignore_no_checkpoint = false;
  std::optional<std::string> resume_from_checkpoint;
  bool create_tensorboard_logger = true;
  bool create_csv_logger = true;  // ours: a metrics.csv costs nothing and needs no viewer
  Json summary_writer_kwargs = nullptr;
  bool create_checkpoint_callback = true;
  Json checkpoint_callback_params = nullptr;
  bool create_early_stopping_callback = false;
  Json early_stopping_callback_params = nullptr;
  std::optional<std::vector<std::string>> files_to_copy;
  bool log_step_timing = true, log_delta_step_timing = false;
  Json step_timing_kwargs = nullptr;
  std::optional<std::string> max_time_per_run;
  bool create_wandb_logger = false, create_mlflow_logger = false;
  Json wandb_logger_kwargs = nullptr, mlflow_logger_kwargs = nullptr;
  // What this build does not have: refused when switched on, accepted when off.
  bool create_dllogger_logger = false, create_clearml_logger = false, create_neptune_logger = false,
       create_straggler_detection_callback = false, create_fault_tolerance_callback = false;
  Json dllogger_logger_kwargs = nullptr, clearml_logger_kwargs = nullptr, neptune_logger_kwargs = nullptr;
  Json ema = nullptr;
  // Without effect in one CPU process.
  bool create_preemption_callback = true, log_local_rank_0_only = false, log_global_rank_0_only = false,
       disable_validation_on_resume = true, log_tflops_per_sec_per_gpu = true;
  int64_t seconds_to_sleep = 5;

  static void describe(OptionSet<ExpManagerOptions>& o);
};
ExpManagerOptions read_exp_manager_options(const Json& section, const std::string& config_path);
// Numbers and switches given for a field of text become their text, as in NeMo (version: 7). Reading does it too.
Json exp_manager_section(Json given);

// A run's place on disk.
struct RunFolder {
  std::string log_dir;         // everything of the run
  std::string checkpoint_dir;  // log_dir/checkpoints, or checkpoint_callback_params.dirpath
  std::string name, version;
  std::string resume_from;  // checkpoint to go on from, or ""
  // What to go on from when that one cannot be read, newest first. Empty for a checkpoint that was named.
  std::vector<std::string> resume_otherwise;
};

// Decides the folder and what to resume from; writes nothing. `now` = "%Y-%m-%d_%H-%M-%S".
RunFolder plan_run_folder(const ExpManagerOptions& options, const std::string& now);
// Makes it, with files_to_copy, and moves the files that an earlier run wrote into the same folder to run_N: never
// anybody else's, nor checkpoints. Metrics and events, which a resumed run continues, then stay.
void make_run_folder(const ExpManagerOptions& options, const RunFolder& run);

// Without an exp_manager section: Lightning's <root>/lightning_logs/version_N, which is not made yet.
RunFolder plan_lightning_folder(const std::string& root);

// NeMo's marker beside a checkpoint that is being written, the same for all ranks and for the averages of the weights:
// "a/tp_rank_00/b.ckpt", "a/b-EMA.ckpt" and "a/b.nemo" -> "a/b-unfinished".
std::string unfinished_marker_of(const std::string& checkpoint);

// The checkpoints a resumed run may take, the best first: `*end.ckpt` and `*last.ckpt` below `folder`, by NeMo's rules,
// or the newest safety checkpoint where that is newer; then all others, newest first. Unfinished ones (with an
// -unfinished marker beside them) are passed over. Empty: there is none, and a run may start afresh.
std::vector<std::string> find_resume_checkpoints(const ExpManagerOptions& options, const std::string& folder);

// The folder, in that of a run's checkpoints, of those that are written from time to time (trainer.ckpt_every).
inline constexpr const char* kSafetyFolder = "safety";

// Lightning's ckpt_path=last: the newest checkpoint in `folders` that is called last. "": there is none.
std::string newest_last_checkpoint(const std::vector<std::string>& folders);

}  // namespace fathom
