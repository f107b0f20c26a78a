// The training loop: fit, validate and test of one model, with loggers and callbacks, resumable at any saved point.
//
// The order of hooks is Lightning 2's. What is saved is complete: weights, optimizer, schedule, data position, random
// state, metrics in progress, loggers' and callbacks' state, so that a resumed run takes the same bits as one that was
// never stopped.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/planning/batch_limits.h"
#include "core/planning/trainer_options.h"
#include "core/training/checkpoint_content.h"
#include "core/training/freezing.h"
#include "core/training/loss_policy.h"
#include "core/training/norm_statistics.h"
#include "core/training/profiler.h"
#include "core/training/run_state.h"
#include "core/training/safety_checkpoints.h"
#include "core/training/trainer_parts.h"
#include "fathom/abi/training_hooks.h"

namespace fathom::training {

struct FitResult {
  std::string status;  // "finished", "stopped", "interrupted"
  std::string reason;
  int64_t epochs = 0, global_step = 0;
  double seconds = 0;
  std::vector<std::string> checkpoints;  // written by this run, in order
};

class Trainer {
 public:
  Trainer(TrainerOptions options, TrainerParts parts);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // Trains until a limit is reached or somebody stops it. Modules train in the mode they are in: one that was frozen,
  // or put into eval mode, stays there. `checkpoint` = path to resume from, or "". An interrupt (core/base/interrupt.h)
  // ends it after the step in hand, with status "interrupted", once callbacks have saved.
  FitResult fit(const std::string& checkpoint = "");
  // One pass over the validation or test loaders; the metrics it logged. An interrupt ends it with Error(kInterrupted).
  std::map<std::string, double> evaluate(Stage stage);

  // One pass over the predict loaders: `emit` gets what the model's predict step knows of each item, in their order.
  // `options`: of that step. How many there were. An interrupt ends it with Error(kInterrupted).
  int64_t predict(const Json& options, const std::function<void(const Json& item)>& emit);

  const std::map<std::string, double>& metrics() const { return router_.finished_metrics(); }
  ModelHandle& model() { return parts_.model; }
  const ModelHandle& model() const { return parts_.model; }
  // {"path", "score", "metric"} of the best checkpoint that a checkpoint callback keeps; empty without one.
  Json best_checkpoint() const;
  bool has_test_data() const { return !parts_.test.empty(); }
  void on_save_nemo(std::function<void(const std::string& path)> save) { parts_.save_nemo = std::move(save); }
  const TrainerOptions& options() const { return options_; }
  const DynamicFreezing& freezing() const { return freezing_; }
  const Profiler* profiler() const { return profiler_.get(); }  // null unless trainer.profiler asks for one
  // The optimizers at work: one, unless the model optimizes by hand.
  const std::vector<std::unique_ptr<Optimization>>& optimizations() const { return optimizations_; }

  // `flags`: FATHOM_SAVE_*.
  void save_checkpoint(const std::string& path, int32_t flags);
  void load_checkpoint(const std::string& path);
  void load_weights(const std::string& path, bool strict = true);

 private:
  friend class TrainerTable;
  void keep_average(double decay, int64_t every_n_steps);
  // What callbacks plan (trainer_plans.cc), as abi/callback.h says of the functions of these names.
  friend struct TrainerPlans;
  void plan_accumulation(AccumulationPlan plan);
  void keep_mean(const std::string& state_key);
  bool add_statistics_epoch();
  Optimization& only_optimization(const char* what);
  // The epoch that begins, or goes on, has its own count of batches to a step; and the one that was added.
  void enter_epoch(bool goes_on);
  void renew_statistics(const Values& batch);
  bool renews_statistics() const { return statistics_ && statistics_->active(); }
  void prepare_fit();
  // How many batches an epoch has, and when validation is due.
  void plan_batches();
  void reload_loaders();
  void sanity_check();
  void run_epoch();
  void train_batch(const Values& batch);
  void finish_batch();
  void step_optimizer();
  void make_optimizers();
  // For models that optimize by hand (trainer_manual.cc): what fathom_step then offers.
  friend struct ManualSteps;
  void offer_manual_steps(fathom_step& step);
  void after_batch();
  void run_validation();
  // `most`: of each loader's batches, whatever `limit` leaves of them.
  void run_evaluation(Stage stage, std::vector<std::unique_ptr<DataLoader>>& loaders, const Json& limit,
                      const std::string& key, int64_t most = kUnknownBatches);
  // fit's, evaluate's and predict's way of ending by an error: callbacks and loggers are told.
  void tell_of_failure(bool interrupted);
  void predict_batches(DataLoader& loader, const Json& options, const std::function<void(const Json& item)>& emit);
  void end_epoch();
  bool finished();
  // max_epochs with the epoch that was added; -1 for none.
  int64_t last_epoch() const;
  // Somebody asked for it, and min_epochs and min_steps are met.
  bool stops_now() const;
  void check_time();
  void handle_interrupt();
  // Has callbacks save, or does it itself where none does. The path, "" without any way to.
  std::string save_on_request();

  void emit(uint32_t event);
  void emit(uint32_t event, Order lowest, Order highest);
  // The model's own hook of that event (fathom/training_hooks.h).
  void call_hook(uint32_t event);
  void log_row(MetricRow row, int64_t step, bool add_epoch);
  fathom_step step_view(Stage stage, int64_t dataloader_idx, int64_t dataloader_count);
  at::Tensor training_loss(const Values& batch);
  // The loss, or undefined for a batch that is left out. Throws where a loss that is not finite ends the run.
  at::Tensor usable_loss(at::Tensor loss);
  CheckpointContent checkpoint_content();
  // The loss scale undone; false when the gradients are not finite and the step is not to be taken.
  bool gradients_usable(Optimization& optimization);
  using Buffers = std::vector<std::pair<at::Tensor, at::Tensor>>;  // each with what was in it
  void remember_buffers(Buffers& buffers) const;
  void check_epoch_limit() const;

  TrainerOptions options_;
  TrainerParts parts_;
  std::shared_ptr<torch::nn::Module> module_;
  std::vector<std::unique_ptr<Optimization>> optimizations_;
  Optimization* optimization_ = nullptr;  // the one that the loop itself drives; null where the model optimizes by hand
  bool manual_ = false, fitting_ = false;
  Extension<fathom_training_hooks_v1> hooks_;          // the model's own
  std::vector<std::pair<at::Tensor, bool>> toggled_;   // requires_grad of the parameters before toggle()
  NamedMetrics metrics_;                               // the model's components, by the names of its children
  std::unique_ptr<GradScaler> scaler_;                 // 16-mixed only
  std::unique_ptr<ExponentialMovingAverage> average_;  // when a callback asked for it
  std::unique_ptr<WeightMean> mean_;                   // likewise
  std::unique_ptr<NormStatistics> statistics_;         // there: one epoch more follows max_epochs
  DynamicFreezing freezing_;
  std::unique_ptr<Profiler> profiler_;
  std::unique_ptr<class TrainerTable> table_;
  struct Listener {
    const CallbackHandle* callback;
    Order order;
  };
  std::array<std::vector<Listener>, FATHOM_EVENT_COUNT> listeners_;  // by event, in calling order

  RunState run_;
  ValidationPlan validation_plan_;
  int64_t loaders_of_epoch_ = 0;  // since when they are the ones in use
  Buffers buffers_before_;        // of the accumulation window, with skip_nan_grad
  Buffers buffers_before_batch_;  // with nan_loss=skip
  NanLoss nan_loss_ = NanLoss::kStop;
  std::unique_ptr<SafetyCheckpoints> safety_;
  AccumulationPlan accumulation_;
  bool accumulation_planned_ = false;                 // by a callback
  int64_t accumulate_ = 1;                            // batches to an optimizer step, in this epoch
  double max_seconds_ = 0, max_seconds_per_run_ = 0;  // 0: no limit
  bool validates_ = false;                            // there are batches to validate on
  MetricRouter router_;
  LossValue last_loss_;
  std::vector<std::string> predictions_;  // of the predict batch in hand, for callbacks
  int64_t predicted_ = 0;
  double last_gradient_norm_ = 0;
  bool gradient_norm_known_ = false;
};

}  // namespace fathom::training
