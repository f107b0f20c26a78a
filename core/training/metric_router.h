// Where what is logged goes. The loop says where it is; log() then knows which results take the value (those of
// training, or of the evaluation in progress) and under which names, as Lightning and NeMo choose them. Holds the
// metrics that callbacks and the progress bar see. Used by the training thread only.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/planning/eval_loaders.h"
#include "core/training/metric_hub.h"

namespace fathom::training {

class MetricRouter {
 public:
  // --- the loop says where it is ---
  void begin_training_start();  // of the run or of an epoch: what is logged there counts for the epoch
  void begin_training_step();
  void begin_training_epoch_end();
  // An evaluation over so many loaders, named by `plan`, which must outlive it.
  void begin_evaluation(EvalKind kind, const EvalLoaderPlan& plan, int64_t loaders);
  void begin_eval_step(int64_t loader);
  void begin_eval_epoch_end(int64_t loader);
  // Nothing may be logged here.
  void leave() { place_ = nullptr; }

  // Throws Error(kFailed) outside of the places above, and as MetricHub::log(). In an evaluation of several loaders a
  // step's name carries "/dataloader_idx_N", an epoch's the prefix of its loader.
  void log(std::string_view name, const at::Tensor* tensor, double value, uint32_t flags, double batch_size);
  // Of the trainer itself, in a training step.
  void log_training_step(std::string_view name, double value);

  // What the step in hand logged with on_step.
  MetricRow step_row() const { return place_->step_row(); }
  // The results of the loop in hand over its epoch, which from then on callbacks and the progress bar see.
  MetricRow finish_epoch();
  // The same of a training epoch that is left before its end: a state saved from now on is that of the epoch in
  // progress.
  MetricRow break_off_epoch();

  // With what the training epoch in progress has so far.
  const std::map<std::string, double>& callback_metrics();
  const std::map<std::string, double>& progress_bar_metrics();
  // As they were at the end of the last epoch of either loop.
  const std::map<std::string, double>& finished_metrics() const { return callback_metrics_; }
  // To put them back: what is logged between the two leaves no trace.
  struct Finished {
    std::map<std::string, double> callback_metrics, progress_bar_metrics;
  };
  Finished finished() const { return {callback_metrics_, progress_bar_metrics_}; }
  void put_back(Finished finished);
  // A metric that callbacks see without its having been logged.
  void set_callback_metric(const std::string& name, double value) { callback_metrics_[name] = value; }

  // Keys callback_metrics, progress_bar_metrics and train_metrics, set in `state`.
  void save_state(Json& state) const;
  void load_state(const Json& state);

 private:
  void log_epoch_of_loader(std::string_view name, const at::Tensor* tensor, double value, uint32_t flags,
                           double batch_size);

  MetricHub training_, evaluation_;
  std::optional<MetricHub> broken_off_;  // what training_ held
  MetricHub* place_ = nullptr;           // one of the two; null: nowhere
  Hook hook_ = Hook::kTrainStep;
  struct Evaluation {
    EvalKind kind = EvalKind::kValidation;
    const EvalLoaderPlan* plan = nullptr;
    int64_t loaders = 1, loader = 0;
    std::set<std::string> logged_at_epoch_end;
    std::map<std::string, int64_t> loader_of;  // of names that do not carry their loader
  } current_;
  std::map<std::string, double> callback_metrics_, progress_bar_metrics_;
};

}  // namespace fathom::training
