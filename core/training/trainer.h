// The training loop: fit, validate and test of one model, with loggers and callbacks, resumable at any saved point.
//
// The order of hooks is Lightning 2's. What is saved is complete: weights, optimizer, schedule, data position, random
// state, metrics in progress, loggers' and callbacks' state, so that a resumed run takes the same bits as one that was
// never stopped.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/data_loader.h"
#include "core/distributed/metric_reduction.h"
#include "core/planning/batch_limits.h"
#include "core/planning/eval_loaders.h"
#include "core/planning/trainer_options.h"
#include "core/training/ema.h"
#include "core/training/freezing.h"
#include "core/training/grad_scaler.h"
#include "core/training/metric_router.h"
#include "core/training/optimization.h"
#include "core/typing/wiring.h"
#include "fathom/callback.h"
#include "fathom/logger.h"
#include "fathom/model.h"

namespace fathom::training {

// What a trainer works on. Loaders may be absent for what is not run.
struct TrainerParts {
  ModelHandle model;
  std::unique_ptr<DataLoader> train;
  std::vector<std::unique_ptr<DataLoader>> validation, test;
  EvalLoaderPlan validation_plan, test_plan;  // the names of several loaders' metrics
  typing::Wiring wiring;                      // of the model (model_wiring.h), for the model summary
  std::vector<LoggerHandle> loggers;
  std::vector<CallbackHandle> callbacks;
  Json optim =
      nullptr;  // model.optim, resolved; null: the model is trained without an optimizer only if max_steps is 0
  Json optim_param_groups = nullptr;
  bool skip_nan_grad = false;       // model.skip_nan_grad: no optimizer step on gradients that are not finite
  Json freeze_updates = nullptr;    // model.freeze_updates: which modules are frozen in which steps
  Json hyper_parameters = nullptr;  // goes into checkpoints as {"cfg": …}
  int64_t seed = 0;
  std::function<void(const std::string& path)> save_nemo;  // how to write the model as a .nemo; may be set later
};

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
  // One pass over the validation or test loaders; the metrics it logged.
  std::map<std::string, double> evaluate(Stage stage);

  const std::map<std::string, double>& metrics() const { return router_.finished_metrics(); }
  ModelHandle& model() { return parts_.model; }
  const ModelHandle& model() const { return parts_.model; }
  // {"path", "score"} of the best checkpoint that a checkpoint callback keeps; empty without one.
  Json best_checkpoint() const;
  bool has_test_data() const { return !parts_.test.empty(); }
  void on_save_nemo(std::function<void(const std::string& path)> save) { parts_.save_nemo = std::move(save); }
  const TrainerOptions& options() const { return options_; }
  const DynamicFreezing& freezing() const { return freezing_; }
  // The optimizers at work: one, unless the model optimizes by hand.
  const std::vector<std::unique_ptr<Optimization>>& optimizations() const { return optimizations_; }

  // `flags`: FATHOM_SAVE_*.
  void save_checkpoint(const std::string& path, int32_t flags);
  void load_checkpoint(const std::string& path);
  void load_weights(const std::string& path, bool strict = true);

 private:
  friend class TrainerTable;
  void keep_average(double decay, int64_t every_n_steps);
  // Where in the loop a checkpoint was written, hence where a resumed run goes on.
  enum class Phase { kNextBatch, kAfterBatch, kAfterValidation, kAfterEpoch };

  void prepare_fit();
  void sanity_check();
  void run_epoch();
  void train_batch(const Values& batch);
  void finish_batch();
  void step_optimizer();
  void make_optimizers();
  // For models that optimize by hand (trainer_manual.cc): what fathom_step then offers.
  friend struct ManualSteps;
  void offer_manual_steps(fathom_step& step);
  NamedTensors optimized_parameters() const;
  void after_batch();
  void run_validation();
  void run_evaluation(Stage stage, std::vector<std::unique_ptr<DataLoader>>& loaders, const Json& limit,
                      const std::string& key);
  void end_epoch();
  bool finished();
  bool may_stop_early() const;
  void handle_interrupt();

  void emit(uint32_t event);
  void emit(uint32_t event, Order lowest, Order highest);
  void log_row(MetricRow row, int64_t step, bool add_epoch);
  void finalize_loggers(const char* status);
  fathom_step step_view(Stage stage, int64_t dataloader_idx, int64_t dataloader_count);
  at::Tensor training_loss(const Values& batch);
  // Of the weights, or of the averages where they are in use.
  checkpoint::PickleValue checkpoint_value(bool weights_only) const;
  checkpoint::PickleValue optimizer_value() const;
  void load_optimizers(const checkpoint::PickleValue& file, const std::string& path);
  void load_average(const checkpoint::PickleValue& file, const std::string& path);
  // The loss scale undone; false when the gradients are not finite and the step is not to be taken.
  bool gradients_usable(Optimization& optimization);

  TrainerOptions options_;
  TrainerParts parts_;
  std::shared_ptr<torch::nn::Module> module_;
  std::vector<std::unique_ptr<Optimization>> optimizations_;
  Optimization* optimization_ = nullptr;  // the one that the loop itself drives; null where the model optimizes by hand
  bool manual_ = false;
  std::vector<std::pair<at::Tensor, bool>> toggled_;   // requires_grad of the parameters before toggle()
  NamedMetrics metrics_;                               // the model's components, by the names of its children
  std::unique_ptr<GradScaler> scaler_;                 // 16-mixed only
  std::unique_ptr<ExponentialMovingAverage> average_;  // when a callback asked for it
  int64_t skipped_steps_ = 0;
  DynamicFreezing freezing_;
  std::unique_ptr<class TrainerTable> table_;
  struct Listener {
    const CallbackHandle* callback;
    Order order;
  };
  std::array<std::vector<Listener>, FATHOM_EVENT_COUNT> listeners_;  // by event, in calling order

  fathom_progress progress_{};
  ValidationPlan validation_plan_;
  Phase phase_ = Phase::kNextBatch;
  // Of the epoch in hand; of an epoch as planned. Data of unknown length says at an epoch's last batch that it is.
  int64_t training_batches_ = 0, batches_per_epoch_ = 0;
  int64_t accumulate_ = 1;
  int64_t batches_seen_ = 0;  // over all epochs
  bool optimizer_stepped_ = false, max_reached_ = false;
  std::string stop_reason_, resumed_from_;
  MetricRouter router_;
  at::Tensor last_loss_;
  double last_gradient_norm_ = 0;
  bool gradient_norm_known_ = false;
  int64_t eval_batches_logged_[2] = {0, 0};
  std::vector<std::string> saved_;
  std::chrono::steady_clock::time_point started_;
  double earlier_seconds_ = 0, max_seconds_ = 0;
};

}  // namespace fathom::training
