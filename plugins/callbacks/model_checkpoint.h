// ModelCheckpoint: Lightning's. Saves after validation, at the end of training epochs, every so many steps or every so
// much time; keeps the best by a metric (or the newest) and, on request, a last.ckpt. A file is removed only after the
// one that replaces it is complete. When the run is asked to stop it saves last.ckpt in any case, so that nothing is
// lost.
//
// Rules and names: pytorch-lightning 2.4, pinned by recorded runs. Scores are compared as the float32 that Lightning
// keeps. Errors: kFailed for options that contradict each other or a metric that is never logged; kIo and kCantCreate
// when a checkpoint cannot be written (what was there before stays).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "fathom/callback.h"
#include "plugins/callbacks/checkpoint_name.h"
#include "plugins/callbacks/top_k.h"

namespace fathom::callbacks {

struct CheckpointOptions {
  std::optional<std::string> dirpath, filename, monitor;
  bool verbose = false;
  Json save_last = nullptr;  // bool, null or "link"
  std::optional<int64_t> save_top_k;
  bool save_on_exception = false;
  bool save_weights_only = false;
  std::string mode = "min";
  bool auto_insert_metric_name = true;
  std::optional<int64_t> every_n_train_steps, every_n_epochs;
  Json train_time_interval = nullptr;
  std::optional<bool> save_on_train_epoch_end;
  bool enable_version_counter = true;
};

template <typename O>
void describe_checkpoint(OptionSet<O>& o) {
#define FATHOM_MEMBER(NAME) static_cast<decltype(CheckpointOptions::NAME) O::*>(&CheckpointOptions::NAME)
  o("dirpath", FATHOM_MEMBER(dirpath), "folder of the checkpoints; default checkpoints/ in the run's folder");
  o("filename", FATHOM_MEMBER(filename), "template of names, such as {epoch}-{val_loss:.2f}");
  o("monitor", FATHOM_MEMBER(monitor), "metric that decides which are best; null: the newest is kept");
  o("verbose", FATHOM_MEMBER(verbose), "say when a checkpoint is saved or not good enough");
  o("save_last", FATHOM_MEMBER(save_last),
    "also keep the newest: true, false, or \"link\" to the file saved just before");
  o("save_top_k", FATHOM_MEMBER(save_top_k), "how many are kept; -1 all, 0 none");
  o("save_on_exception", FATHOM_MEMBER(save_on_exception),
    "also save when an error ends the training, under the name that a checkpoint has at that step");
  o("save_weights_only", FATHOM_MEMBER(save_weights_only),
    "leave out optimizer, schedule and loop: training cannot be resumed");
  o("mode", FATHOM_MEMBER(mode), "min or max: which values of the metric are better");
  o("auto_insert_metric_name", FATHOM_MEMBER(auto_insert_metric_name), "{x} in names becomes x=VALUE instead of VALUE");
  o("every_n_train_steps", FATHOM_MEMBER(every_n_train_steps), "save every so many optimizer steps");
  o("every_n_epochs", FATHOM_MEMBER(every_n_epochs), "save every so many epochs");
  o("train_time_interval", FATHOM_MEMBER(train_time_interval),
    "save after so much time: seconds, \"DD:HH:MM:SS\" or {minutes: …}");
  o("save_on_train_epoch_end", FATHOM_MEMBER(save_on_train_epoch_end),
    "save at the end of training epochs rather than after validation; null: decide by the validation interval");
  o("enable_version_counter", FATHOM_MEMBER(enable_version_counter),
    "append -v1, -v2 … instead of overwriting a file of that name");
#undef FATHOM_MEMBER
}

class ModelCheckpoint : public Callback, public Stateful {
 public:
  struct Options : CheckpointOptions {
    static void describe(OptionSet<Options>& o) { describe_checkpoint(o); }
  };
  ModelCheckpoint(const Options& options, const Json& context)
      : ModelCheckpoint(options, context, "ModelCheckpoint", 1) {}

  std::string state_key() const override;
  // Lightning's names: best_model_path, best_model_score, best_k_models, kth_best_model_path, kth_value,
  // last_model_path, …
  Json save_state() const override;
  void load_state(const Json& state) override;
  Order order() const override { return Order::kCheckpoint; }

 protected:
  // `default_top_k`: of save_top_k when the config does not give it and a metric is monitored.
  ModelCheckpoint(const CheckpointOptions& options, const Json& context, std::string class_name, int64_t default_top_k);

  // What NeMo's callback does differently.
  virtual void write(Trainer& trainer, const std::string& path);
  virtual void remove(const std::string& path);
  virtual bool may_remove(Trainer& trainer, const std::string& previous, const std::string& current) const;
  // A file of that name is there, and another one must not take its name.
  virtual bool is_taken(const std::string& path) const;
  virtual bool saves_on_train_epoch_end(const fathom_progress& progress) const;

  void start_training(Trainer& trainer);
  MetricValues candidates(Trainer& trainer) const;
  std::string path_of(const MetricValues& values, const std::string& name, int version = 0) const;
  void save_last(Trainer& trainer, const MetricValues& values, bool may_link);
  bool skips(const fathom_progress& progress) const;
  void log_info(const std::string& text) const;
  void log_warning(const std::string& text) const;

  CheckpointOptions options_;
  std::string class_name_, dirpath_, last_name_ = "last";
  bool keeps_last_ = false;
  int64_t top_k_size_ = 1;
  TopK top_k_;
  std::string best_model_path_, last_model_path_;
  std::optional<double> best_model_score_, current_score_;
  bool state_loaded_ = false;  // for the folder that is written to

 private:
  void start_fit(Trainer& trainer);
  void end_batch(Trainer& trainer);
  void end_epoch(Trainer& trainer);
  void end_validation(Trainer& trainer);
  void end_fit(Trainer& trainer);
  void interrupt(Trainer& trainer);
  void save_after_error(Trainer& trainer);

  void save(Trainer& trainer, bool with_top_k);
  void save_top_k(Trainer& trainer, const MetricValues& values);
  void save_newest(Trainer& trainer, const MetricValues& values);
  void save_monitored(Trainer& trainer, const MetricValues& values, double score);
  std::string free_path(const MetricValues& values, const std::string& name, const std::string& reusable) const;
  void write_now(Trainer& trainer, const std::string& path);
  void remove_half_written();

  bool link_last_ = false, fitting_ = false, validated_ = false;
  int64_t every_n_train_steps_ = 0, every_n_epochs_ = 0;
  std::optional<double> interval_;  // seconds
  std::chrono::steady_clock::time_point last_time_;
  int64_t last_global_step_saved_ = 0;
  bool counts_saves_ = true;  // of a step, of which there is one at most
  std::string last_checkpoint_saved_;
};

// Text as Python's repr of a str.
std::string python_repr(const std::string& text);

}  // namespace fathom::callbacks
