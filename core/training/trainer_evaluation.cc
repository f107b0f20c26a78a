// The loops over data that is not learnt from: sanity check, validation, test and predict.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <exception>

#include "core/base/interrupt.h"
#include "core/distributed/process_group.h"
#include "core/training/autocast.h"
#include "core/training/trainer.h"

namespace fathom::training {
namespace {

// Puts a module in eval mode and gives every submodule its own mode back.
class EvalMode {
 public:
  explicit EvalMode(torch::nn::Module& module) {
    for (const auto& child : module.modules()) was_training_.emplace_back(child, child->is_training());
    module.eval();
  }
  ~EvalMode() {
    for (auto& [child, training] : was_training_) child->train(training);  // recurses; parents come first in the list
  }

 private:
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> was_training_;
};

// Does something when an error leaves the block.
template <typename F>
class OnError {
 public:
  explicit OnError(F f) : f_(std::move(f)) {}
  ~OnError() {
    if (std::uncaught_exceptions() > before_) f_();
  }

 private:
  F f_;
  int before_ = std::uncaught_exceptions();
};

// Work that `tell(interrupted)` hears of when it ends by an error.
template <typename Work, typename Tell>
void or_tell(const Work& work, const Tell& tell) {
  try {
    work();
  } catch (const Error& error) {
    tell(error.code() == Code::kInterrupted);
    throw;
  } catch (...) {
    tell(false);
    throw;
  }
}

}  // namespace

void Trainer::sanity_check() {
  const int64_t batches = options_.num_sanity_val_steps.value_or(0);
  if (batches == 0 || !validates_ || run_.progress.batch_idx > 0 || run_.phase != RunState::Phase::kNextBatch) return;
  // The check leaves no trace: random state, metrics and logs are as before.
  const at::Tensor random_state = at::globalContext().defaultGenerator(at::kCPU).get_state();
  MetricRouter::Finished metrics = router_.finished();
  run_.progress.sanity_checking = 1;
  emit(FATHOM_ON_SANITY_CHECK_START);
  run_evaluation(Stage::kValidate, parts_.validation, options_.limit_val_batches, "trainer.limit_val_batches",
                 batches < 0 ? kUnknownBatches : batches);
  emit(FATHOM_ON_SANITY_CHECK_END);
  run_.progress.sanity_checking = 0;
  router_.put_back(std::move(metrics));
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  generator.set_state(random_state);
}

void Trainer::run_validation() {
  run_evaluation(Stage::kValidate, parts_.validation, options_.limit_val_batches, "trainer.limit_val_batches");
}

void Trainer::run_evaluation(Stage stage, std::vector<std::unique_ptr<DataLoader>>& loaders, const Json& limit,
                             const std::string& key, int64_t most) {
  const bool test = stage == Stage::kTest;
  const uint32_t base = test ? FATHOM_ON_TEST_START : FATHOM_ON_VALIDATION_START;  // START, EPOCH_START, BATCH_START, …
  int64_t total = 0;
  for (const auto& loader : loaders) {
    const int64_t batches = std::min(most, limited_batches(limit, batches_of(*loader), key));
    total = batches == kUnknownBatches || total == kUnknownBatches ? kUnknownBatches : total + batches;
  }
  if (total == 0) return;

  const ProfileScope scope(profiler_.get(), test                                 ? "run_test"
                                            : run_.progress.sanity_checking != 0 ? "sanity_check"
                                                                                 : "run_validation");
  const fathom_progress outer = run_.progress;
  // Whoever saves after an error saves where training stands.
  const OnError put_back([&] { run_.progress = outer; });
  run_.progress.validating = 1;
  run_.progress.eval_batches = total == kUnknownBatches ? -1 : total;
  {
    const EvalMode eval(*module_);
    const c10::InferenceMode inference(options_.inference_mode.value_or(true));
    const at::NoGradGuard no_grad;
    const auto count = static_cast<int64_t>(loaders.size());
    router_.begin_evaluation(test ? EvalKind::kTest : EvalKind::kValidation,
                             test ? parts_.test_plan : parts_.validation_plan, count);
    emit(base);
    emit(base + 1);
    for (int64_t index = 0; index < count; ++index) {
      auto& loader = *loaders[static_cast<size_t>(index)];
      const int64_t batches = std::min(most, limited_batches(limit, batches_of(loader), key));
      loader.start_epoch(0, 0, batches);
      run_.progress.dataloader_idx = index;
      for (run_.progress.batch_idx = 0; run_.progress.batch_idx < batches; ++run_.progress.batch_idx) {
        const auto batch = profiled(profiler_.get(), "eval_dataloader_next", [&] { return loader.next(); });
        if (!batch) break;
        // In the middle of training an evaluation is finished first: the checkpoint then stands after it.
        if (!fitting_ && interrupt_requested() != 0) throw Error(Code::kInterrupted, "");
        router_.begin_eval_step(index);
        emit(base + 2);
        const fathom_step step = step_view(stage, index, count);
        {
          const ProfileScope step_scope(profiler_.get(), test ? "test_step" : "validation_step");
          const Autocast autocast(options_.precision_plan.precision);
          parts_.model.eval_step(to_precision(*batch, options_.precision_plan.precision), step);
        }
        emit(base + 3);
        if (run_.progress.sanity_checking == 0) log_row(router_.step_row(), run_.count_eval_batch(test, index), false);
      }
      router_.begin_eval_epoch_end(index);
      reduce_metrics(metrics_, process_group());
      parts_.model.eval_epoch_end(step_view(stage, index, count));
    }
    emit(base + 4);
  }
  MetricRow row = router_.finish_epoch();
  const bool sanity = run_.progress.sanity_checking != 0;
  const int32_t should_stop = run_.progress.should_stop;
  run_.progress = outer;
  run_.progress.should_stop = should_stop;
  if (!sanity) log_row(std::move(row), std::max<int64_t>(0, run_.progress.batches_that_stepped - 1), true);
  router_.leave();

  const uint32_t end = base + 5;
  emit(end, Order::kNormal, Order::kMonitoring);
  if (!sanity && !test && optimization_) {
    optimization_->end_validation(
        [](void* ctx, const std::string& name) -> std::optional<double> {
          const auto& metrics = static_cast<Trainer*>(ctx)->router_.finished_metrics();
          const auto found = metrics.find(name);
          return found == metrics.end() ? std::nullopt : std::optional(found->second);
        },
        this);
  }
  const RunState::Phase phase = run_.phase;
  if (!test && phase == RunState::Phase::kAfterBatch) run_.phase = RunState::Phase::kAfterValidation;
  emit(end, Order::kCheckpoint, Order::kCheckpoint);
  run_.phase = phase;
}

std::map<std::string, double> Trainer::evaluate(Stage stage) {
  const bool test = stage == Stage::kTest;
  auto& loaders = test ? parts_.test : parts_.validation;
  const std::string key = test ? "model.test_ds" : "model.validation_ds";
  if (loaders.empty())
    throw Error(Code::kFailed, "there is no data for this").at(key).next("give the section " + key + " its data");
  const auto work = [&] {
    emit(FATHOM_ON_SETUP);
    run_evaluation(stage, loaders, test ? options_.limit_test_batches : options_.limit_val_batches,
                   test ? "trainer.limit_test_batches" : "trainer.limit_val_batches");
    emit(FATHOM_ON_TEARDOWN);
  };
  or_tell(work, [&](bool interrupted) { tell_of_failure(interrupted); });
  parts_.loggers.finalize("success");
  return router_.finished_metrics();
}

int64_t Trainer::predict(const Json& options, const std::function<void(const Json& item)>& emit_item) {
  if (parts_.predict.empty()) {
    throw Error(Code::kFailed, "there is no data for this")
        .at("model.predict_ds")
        .next("give the section model.predict_ds its data");
  }
  predicted_ = 0;
  const auto batches_to_do = [&](const DataLoader& loader) {
    return limited_batches(options_.limit_predict_batches, batches_of(loader), "trainer.limit_predict_batches");
  };
  const auto work = [&] {
    emit(FATHOM_ON_SETUP);
    const bool any = std::any_of(parts_.predict.begin(), parts_.predict.end(),
                                 [&](const auto& loader) { return batches_to_do(*loader) > 0; });
    if (any) {
      const EvalMode eval(*module_);
      const c10::InferenceMode inference(options_.inference_mode.value_or(true));
      const at::NoGradGuard no_grad;
      emit(FATHOM_ON_PREDICT_START);
      emit(FATHOM_ON_PREDICT_EPOCH_START);
      for (size_t index = 0; index < parts_.predict.size(); ++index) {
        run_.progress.dataloader_idx = static_cast<int64_t>(index);
        const int64_t batches = batches_to_do(*parts_.predict[index]);
        run_.progress.eval_batches = batches == kUnknownBatches ? -1 : batches;
        parts_.predict[index]->start_epoch(0, 0, batches);
        predict_batches(*parts_.predict[index], options, emit_item);
      }
      emit(FATHOM_ON_PREDICT_EPOCH_END);
      emit(FATHOM_ON_PREDICT_END);
    }
    emit(FATHOM_ON_TEARDOWN);
  };
  or_tell(work, [&](bool interrupted) { tell_of_failure(interrupted); });
  parts_.loggers.finalize("success");
  return predicted_;
}

void Trainer::predict_batches(DataLoader& loader, const Json& options,
                              const std::function<void(const Json& item)>& emit_item) {
  for (run_.progress.batch_idx = 0;; ++run_.progress.batch_idx) {
    const std::optional<Values> batch = loader.next();
    if (!batch) return;
    if (interrupt_requested() != 0) throw Error(Code::kInterrupted, "");
    emit(FATHOM_ON_PREDICT_BATCH_START);
    std::vector<Json> items;
    {
      const Autocast autocast(options_.precision_plan.precision);
      for (const Values& values :
           parts_.model.predict_step(to_precision(*batch, options_.precision_plan.precision), options))
        items.push_back(json_of(values.items()));
    }
    predictions_.clear();
    if (!listeners_[FATHOM_ON_PREDICT_BATCH_END].empty()) {
      for (const Json& item : items) predictions_.push_back(json_text(item));
    }
    emit(FATHOM_ON_PREDICT_BATCH_END);
    predicted_ += static_cast<int64_t>(items.size());
    for (const Json& item : items) emit_item(item);
  }
}

}  // namespace fathom::training
