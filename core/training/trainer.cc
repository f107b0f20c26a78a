#include "core/training/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/training/autocast.h"
#include "core/training/trainer_table.h"

namespace fathom::training {
namespace {

// Lightning 2 trains a module in the mode it was left in, and says so.
void warn_of_eval_mode(const torch::nn::Module& module) {
  const auto modules = module.modules();
  const auto count = std::count_if(modules.begin(), modules.end(), [](const auto& m) { return !m->is_training(); });
  if (count > 0) log_warning("trainer", "{} of {} modules start training in eval mode", count, modules.size());
}

// Clearer than what backward() says.
void require_gradient(const at::Tensor& loss) {
  if (loss.requires_grad()) return;
  throw Error(Code::kFailed, "there is nothing to train: the loss depends on no parameter that is not frozen")
      .expected("at least one trained parameter in every step")
      .next("freeze fewer modules in model.freeze_updates, or unfreeze some");
}

}  // namespace

Trainer::Trainer(TrainerOptions options, TrainerParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      module_(parts_.model.torch_module()),
      metrics_(parts_.model.metrics()),
      freezing_(parts_.freeze_updates, "model.freeze_updates", parts_.model.typed_children()),
      profiler_(options_.profiler.is_null() ? nullptr : std::make_unique<Profiler>()),
      table_(std::make_unique<TrainerTable>(*this)) {
  hooks_ = parts_.model.query<fathom_training_hooks_v1>(FATHOM_TRAINING_HOOKS_EXTENSION);
  check_state_keys(parts_.callbacks);
  const PrecisionPlan& plan = options_.precision_plan;
  if (plan.precision == Precision::k64True) module_->to(at::kDouble);
  if (plan.precision == Precision::kBf16True) module_->to(at::kBFloat16);
  if (plan.scaler) scaler_ = std::make_unique<GradScaler>(*plan.scaler);
  for (uint32_t event = 0; event < FATHOM_EVENT_COUNT; ++event) {
    for (const auto& callback : parts_.callbacks) {
      if (callback.wants(event)) listeners_[event].push_back({&callback, callback.order()});
    }
    std::stable_sort(listeners_[event].begin(), listeners_[event].end(),
                     [](const auto& a, const auto& b) { return a.order < b.order; });
  }
  nan_loss_ = nan_loss_policy(options_.nan_loss, parts_.skip_nan_grad || scaler_);
  if (!options_.ckpt_every.is_null() && !parts_.safety_folder.empty()) {
    safety_ = std::make_unique<SafetyCheckpoints>(parse_interval(options_.ckpt_every, "trainer.ckpt_every"),
                                                  parts_.safety_folder);
  }
  // A map is the plan of the callback that it implies.
  if (options_.accumulate_grad_batches.is_number()) accumulation_ = options_.accumulate_grad_batches.get<int64_t>();
  accumulate_ = accumulation_.at(0);
  if (options_.max_time) max_seconds_ = parse_max_time(*options_.max_time, "trainer.max_time");
  if (options_.max_time_per_run)
    max_seconds_per_run_ = parse_max_time(*options_.max_time_per_run, "exp_manager.max_time_per_run");
  run_.limits = parts_.limits;
  run_.progress.struct_size = sizeof(fathom_progress);
  run_.progress.max_epochs = options_.max_epochs.value_or(-1);
  run_.progress.max_steps = *options_.max_steps;
  run_.progress.log_every_n_steps = options_.log_every_n_steps;
  run_.progress.check_val_every_n_epoch = options_.check_val_every_n_epoch.value_or(0);
  run_.progress.val_check_interval = options_.val_check_interval.get<double>();
  run_.progress.val_check_counts_batches = options_.val_check_interval.is_number_integer() ? 1 : 0;
  run_.progress.fast_dev_run = options_.fast_dev_run.get<int64_t>() > 0;
  run_.progress.training_batches = run_.progress.eval_batches = -1;
}

Trainer::~Trainer() = default;

// --- the loop
// ---------------------------------------------------------------------------------------------------------

FitResult Trainer::fit(const std::string& checkpoint) {
  run_.started = std::chrono::steady_clock::now();
  fitting_ = true;
  try {
    prepare_fit();
    emit(FATHOM_ON_SETUP);
    make_optimizers();
    emit(FATHOM_ON_FIT_START);
    if (!checkpoint.empty()) load_checkpoint(checkpoint);
    loaders_of_epoch_ = run_.progress.epoch;
    sanity_check();
    // As in Lightning, who is to train nothing does not start; but a resumed run may still have an end to write.
    const bool trains = !checkpoint.empty() || !finished();
    if (trains) {
      warn_of_eval_mode(*module_);
      router_.begin_training_start();
      emit(FATHOM_ON_TRAIN_START);
      freezing_.start();
    }
    // A run that died between its last step and the end of that epoch still has that end before it.
    if (run_.is_within_epoch() && (stops_now() || run_.max_reached)) run_epoch();
    while (!finished()) run_epoch();
    fitting_ = false;
    if (trains) {
      emit(FATHOM_ON_TRAIN_END);
      freezing_.end();
    }
    emit(FATHOM_ON_FIT_END);
    emit(FATHOM_ON_TEARDOWN);
  } catch (const Error& error) {
    const bool interrupted = error.code() == Code::kInterrupted;
    tell_of_failure(interrupted);
    if (!interrupted) throw;
    return {"interrupted", error.message(), run_.progress.epoch, run_.progress.global_step, run_.seconds(), run_.saved};
  } catch (...) {
    tell_of_failure(false);
    throw;
  }
  if (safety_) safety_->remove_all();
  parts_.loggers.finalize("success");
  log_info("trainer", "fit stopped: {}", run_.stop_reason);
  return {run_.stopped_early ? "stopped" : "finished",
          run_.stop_reason,
          run_.progress.epoch,
          run_.progress.global_step,
          run_.seconds(),
          run_.saved};
}

void Trainer::run_epoch() {
  const bool resumed = run_.phase != RunState::Phase::kNextBatch || run_.progress.batch_idx > 0;
  router_.begin_training_start();
  if (!resumed) {
    reload_loaders();
    emit(FATHOM_ON_TRAIN_EPOCH_START);
    call_hook(FATHOM_ON_TRAIN_EPOCH_START);
  }
  enter_epoch(resumed);
  if (run_.phase == RunState::Phase::kAfterBatch) after_batch();
  if (run_.phase == RunState::Phase::kAfterValidation) {
    ++run_.progress.batch_idx;
    run_.phase = RunState::Phase::kNextBatch;
  }

  run_.broken_off.reset();
  run_.training_batches = run_.batches_per_epoch;
  parts_.train->start_epoch(run_.progress.epoch, run_.progress.batch_idx, run_.training_batches);
  while (!stops_now() && !run_.max_reached && run_.progress.batch_idx < run_.training_batches) {
    const std::optional<Values> batch =
        profiled(profiler_.get(), "train_dataloader_next", [&] { return parts_.train->next(); });
    if (!batch) break;
    run_.progress.items_trained += parts_.train->items_of_batch();
    run_.progress.seconds_trained += parts_.train->seconds_of_batch();
    // Data that does not know its length tells only now that this batch is the epoch's last.
    if (!profiled(profiler_.get(), "train_dataloader_peek", [&] { return parts_.train->has_next(); }))
      run_.training_batches = run_.progress.batch_idx + 1;
    train_batch(*batch);
    after_batch();
  }
  end_epoch();
}

// One batch: forward, backward, and an optimizer step at the end of each accumulation window.
void Trainer::train_batch(const Values& batch) {
  const ProfileScope scope(profiler_.get(), "run_training_batch");
  router_.begin_training_step();
  emit(FATHOM_ON_TRAIN_BATCH_START);
  freezing_.before_batch(*module_, run_.progress.global_step);

  if (manual_) {
    const at::Tensor loss = usable_loss(training_loss(batch));
    last_loss_.set(loss);
    gradient_norm_known_ = false;
    ++run_.progress.batches_that_stepped;
    run_.optimizer_stepped = true;
    return finish_batch();
  }
  if (renews_statistics()) return renew_statistics(batch);
  const int64_t in_window = run_.progress.batch_idx % accumulate_;
  const bool last_batch = run_.progress.batch_idx + 1 == run_.training_batches;
  if (in_window == 0 && parts_.skip_nan_grad) remember_buffers(buffers_before_);
  if (nan_loss_ == NanLoss::kSkip) remember_buffers(buffers_before_batch_);
  const at::Tensor loss = usable_loss(training_loss(batch));
  last_loss_.set(loss);
  gradient_norm_known_ = false;
  if (in_window == 0 && optimization_) {
    emit(FATHOM_ON_BEFORE_ZERO_GRAD);
    optimization_->zero_grad();
  }
  if (loss.defined() && optimization_) {
    emit(FATHOM_ON_BEFORE_BACKWARD);
    require_gradient(loss);
    int64_t window = accumulate_;
    if (options_.scale_partial_accumulation)
      window = std::min(window, run_.training_batches - (run_.progress.batch_idx - in_window));
    const at::Tensor mean = window > 1 ? loss / static_cast<double>(window) : loss;
    profiled(profiler_.get(), "backward", [&] { (scaler_ ? scaler_->scale_loss(mean) : mean).backward(); });
    emit(FATHOM_ON_AFTER_BACKWARD);
    call_hook(FATHOM_ON_AFTER_BACKWARD);
  }
  run_.optimizer_stepped = optimization_ && (in_window + 1 == accumulate_ || last_batch);
  if (run_.optimizer_stepped) step_optimizer();
  finish_batch();
}

// Counts the batch, tells callbacks, and writes a row when one is due.
void Trainer::finish_batch() {
  ++run_.batches_seen;
  if (*options_.max_steps >= 0 && run_.progress.global_step >= *options_.max_steps) run_.max_reached = true;
  run_.phase = RunState::Phase::kAfterBatch;
  emit(FATHOM_ON_TRAIN_BATCH_END, Order::kNormal, Order::kMonitoring);
  if (run_.optimizer_stepped && options_.log_every_n_steps > 0 &&
      (run_.progress.batches_that_stepped % options_.log_every_n_steps == 0 || run_.progress.should_stop != 0)) {
    log_row(router_.step_row(), run_.progress.batches_that_stepped - 1, true);
  }
  emit(FATHOM_ON_TRAIN_BATCH_END, Order::kCheckpoint, Order::kCheckpoint);
}

void Trainer::step_optimizer() {
  const ProfileScope scope(profiler_.get(), "optimizer_step");
  const bool usable = !renews_statistics() && gradients_usable(*optimization_);
  emit(FATHOM_ON_BEFORE_OPTIMIZER_STEP);
  if (const double limit = options_.gradient_clip_val.value_or(0); usable && limit > 0) {
    const auto& parameters = optimization_->parameters();
    if (options_.gradient_clip_algorithm.value_or("norm") == "norm") {
      if (!gradient_norm_known_) last_gradient_norm_ = gradient_norm(parameters);
      gradient_norm_known_ = true;
      clip_gradient_norm(parameters, limit, last_gradient_norm_);
    } else {
      clip_gradient_value(parameters, limit);
    }
  }
  if (usable) {
    optimization_->step();
    if (average_) average_->after_step();
  }
  // A step that was skipped is counted, as in Lightning; optimizer, schedule and average stand still.
  ++run_.progress.global_step;
  ++run_.progress.batches_that_stepped;
}

// A step that is left out leaves no statistics of batch norm behind either.
void Trainer::remember_buffers(Buffers& buffers) const {
  buffers.clear();
  for (const at::Tensor& buffer : module_->buffers()) buffers.emplace_back(buffer, buffer.clone());
}

bool Trainer::gradients_usable(Optimization& optimization) {
  if (!scaler_ && !parts_.skip_nan_grad) return true;
  bool usable = true;
  if (scaler_) {
    const double scale = scaler_->scale();
    usable = scaler_->unscale(optimization.parameters());
    gradient_norm_known_ = false;  // what was asked for after the backward pass is of scaled gradients
    scaler_->update(usable);
    router_.log_training_step("loss_scale", scale);
  }
  if (usable && parts_.skip_nan_grad) usable = gradients_are_finite(optimization.parameters());
  if (!usable) {
    for (auto& [buffer, before] : buffers_before_) buffer.copy_(before);
    ++run_.skipped_steps;
    log_warning("trainer", "step {}: gradients are not finite; the step is skipped ({} so far)",
                run_.progress.global_step, run_.skipped_steps);
  }
  router_.log_training_step("skipped_steps", static_cast<double>(run_.skipped_steps));
  return usable;
}

void Trainer::keep_average(double decay, int64_t every_n_steps) {
  if (optimizations_.empty())
    throw Error(Code::kFailed, "an average of weights needs an optimizer that changes them").next("set model.optim");
  if (average_) throw Error(Code::kFailed, "two callbacks keep an average of the weights").next("remove one of them");
  std::vector<NamedTensors> parameters;
  for (const auto& optimization : optimizations_) parameters.push_back(optimization->parameters());
  average_ = std::make_unique<ExponentialMovingAverage>(decay, every_n_steps, parameters);
}

// Validation when due, then on to the next batch. A checkpoint written meanwhile resumes after the part that was done.
void Trainer::after_batch() {
  const bool early = stops_now();
  const bool due = validation_plan_.due(run_.progress.epoch, run_.progress.batch_idx, run_.batches_seen,
                                        run_.progress.batch_idx + 1 == run_.training_batches);
  if (validates_ && (due || (early && validation_plan_.every_batches > 0)) && !(run_.max_reached && !due)) {
    run_validation();
  }
  ++run_.progress.batch_idx;
  run_.phase = RunState::Phase::kNextBatch;
  handle_interrupt();
}

void Trainer::end_epoch() {
  if ((run_.max_reached || stops_now()) && run_.progress.batch_idx < run_.training_batches) run_.break_off_epoch();
  if (optimization_ && !run_.broken_off) optimization_->end_epoch();
  if (statistics_) statistics_->end();
  router_.begin_training_epoch_end();
  emit(FATHOM_ON_TRAIN_EPOCH_END, Order::kNormal, Order::kNormal);
  if (!run_.broken_off) call_hook(FATHOM_ON_TRAIN_EPOCH_END);
  MetricRow row = run_.broken_off ? router_.break_off_epoch() : router_.finish_epoch();
  emit(FATHOM_ON_TRAIN_EPOCH_END, Order::kMonitoring, Order::kMonitoring);
  log_row(std::move(row), std::max<int64_t>(0, run_.progress.batches_that_stepped - 1), true);
  run_.phase = RunState::Phase::kAfterEpoch;
  emit(FATHOM_ON_TRAIN_EPOCH_END, Order::kCheckpoint, Order::kCheckpoint);
  router_.leave();
  run_.end_epoch();
}

bool Trainer::finished() {
  const auto stop = [this](std::string reason) {
    run_.stop_reason = std::move(reason);
    return true;
  };
  if (!parts_.train || run_.training_batches == 0) return stop("no training batches");
  if (*options_.max_steps >= 0 && run_.progress.global_step >= *options_.max_steps) {
    return stop("max_steps=" + std::to_string(*options_.max_steps) + " reached");
  }
  if (last_epoch() >= 0 && run_.progress.epoch >= last_epoch()) {
    return stop("max_epochs=" + std::to_string(*options_.max_epochs) + " reached");
  }
  run_.stopped_early = stops_now();  // whoever stopped it gave the reason
  return run_.stopped_early;
}

bool Trainer::stops_now() const {
  return run_.progress.should_stop != 0 && (!options_.min_epochs || run_.progress.epoch >= *options_.min_epochs) &&
         (!options_.min_steps || run_.progress.global_step >= *options_.min_steps);
}

void Trainer::tell_of_failure(bool interrupted) {
  if (!interrupted) emit(FATHOM_ON_EXCEPTION);
  parts_.loggers.finalize(interrupted ? "interrupted" : "failed");
}

// --- parts of a step
// ---------------------------------------------------------------------------------------------------------

fathom_step Trainer::step_view(Stage stage, int64_t dataloader_idx, int64_t dataloader_count) {
  fathom_step step{};
  step.struct_size = sizeof(fathom_step);
  step.stage = static_cast<uint32_t>(stage);
  step.epoch = run_.progress.epoch;
  step.global_step = run_.progress.global_step;
  step.batch_idx = run_.progress.batch_idx;
  step.dataloader_idx = dataloader_idx;
  step.dataloader_count = dataloader_count;
  step.log_every_n_steps = options_.log_every_n_steps;
  step.learning_rate = stage == Stage::kTrain && !optimizations_.empty() ? optimizations_[0]->option(0, "lr") : 0;
  step.ctx = this;
  step.log = &TrainerTable::log_from_step;
  constexpr std::string_view kDevice = "cpu";
  step.device = to_abi(kDevice);
  step.media = &table_->media();
  if (stage == Stage::kTrain && manual_) offer_manual_steps(step);
  return step;
}

at::Tensor Trainer::training_loss(const Values& batch) {
  const ProfileScope scope(profiler_.get(), "training_step");
  const fathom_step step = step_view(Stage::kTrain, 0, 1);
  const Autocast autocast(options_.precision_plan.precision);
  return parts_.model.training_step(to_precision(batch, options_.precision_plan.precision), step);
}

at::Tensor Trainer::usable_loss(at::Tensor loss) {
  if (nan_loss_ == NanLoss::kContinue || !loss.defined() || is_finite_loss(loss)) return loss;
  const std::string batch = parts_.train->name_of_batch(run_.progress.batch_idx);
  if (nan_loss_ == NanLoss::kStop) {
    throw Error(Code::kFailed, "the loss is not finite")
        .at("step " + std::to_string(run_.progress.global_step) + ", epoch " + std::to_string(run_.progress.epoch) +
            ", batch " + std::to_string(run_.progress.batch_idx))
        .seen(std::to_string(loss.detach().to(at::kDouble).sum().item<double>()) + " for " + batch)
        .expected("a number")
        .next(
            "look at these items and at the learning rate; trainer.nan_loss=skip leaves such batches out, "
            "trainer.nan_loss=continue trains on");
  }
  for (auto& [buffer, before] : buffers_before_batch_) buffer.copy_(before);
  ++run_.skipped_losses;
  log_warning("trainer", "step {}: the loss is not finite; {} is left out ({} so far)", run_.progress.global_step,
              batch, run_.skipped_losses);
  router_.log_training_step("skipped_losses", static_cast<double>(run_.skipped_losses));
  return {};
}

void Trainer::check_time() {
  const auto stop = [this](const std::string& reason) {
    run_.progress.should_stop = 1;
    run_.time_is_over = true;
    run_.stop_reason = reason;
  };
  if (run_.progress.should_stop == 0) {
    if (max_seconds_ > 0 && run_.seconds_in_all() > max_seconds_)
      stop("max_time=" + *options_.max_time + " reached");
    else if (max_seconds_per_run_ > 0 && run_.seconds() > max_seconds_per_run_)
      stop("max_time_per_run=" + *options_.max_time_per_run + " reached");
  }
}

// Between steps: a request to stop, or the end of the time allowed.
void Trainer::handle_interrupt() {
  check_time();
  if (safety_ && safety_->due()) {
    parts_.loggers.save();
    safety_->start(checkpoint_content().write(/*weights_only=*/false), run_.progress.global_step);
  }
  if (take_save_request()) {
    const std::string path = save_on_request();
    log_info("trainer", "asked to save at step {}: {}", run_.progress.global_step,
             path.empty() ? "nothing saves in this run" : path);
  }
  if (interrupt_requested() != 0) throw Error(Code::kInterrupted, save_on_request());
}

std::string Trainer::save_on_request() {
  const size_t saved = run_.saved.size();
  emit(FATHOM_ON_INTERRUPT);
  if (run_.saved.size() > saved) return run_.saved.back();
  if (!safety_) return "";
  parts_.loggers.save();
  run_.saved.push_back(
      safety_->write_now(checkpoint_content().write(/*weights_only=*/false), run_.progress.global_step));
  return run_.saved.back();
}

// --- loggers and callbacks
// ---------------------------------------------------------------------------------------------------

void Trainer::emit(uint32_t event) { emit(event, Order::kNormal, Order::kCheckpoint); }

void Trainer::emit(uint32_t event, Order lowest, Order highest) {
  for (const auto& [callback, order] : listeners_[event]) {
    if (order < lowest || order > highest) continue;
    const ProfileScope scope(profiler_.get(), *callback, event);
    callback->on_event(event, table_->table());
  }
}

void Trainer::call_hook(uint32_t event) {
  if (!hooks_) return;
  const fathom_step step = step_view(Stage::kTrain, 0, 1);
  check(hooks_->on_event(hooks_.self(), event, &step));
}

void Trainer::log_row(MetricRow row, int64_t step, bool add_epoch) {
  if (row.empty()) return;
  bool own_step = false, own_epoch = false;
  std::vector<fathom_metric_value> values;
  values.reserve(row.size() + 1);
  for (const auto& [name, value] : row) {
    if (name == "step") {  // a metric of that name replaces the x-axis, as in Lightning
      step = static_cast<int64_t>(value);
      own_step = true;
    } else {
      own_epoch = own_epoch || name == "epoch";
      values.push_back({to_abi(name), value});
    }
  }
  constexpr std::string_view kEpoch = "epoch";
  if (add_epoch && !own_step && !own_epoch)
    values.push_back({to_abi(kEpoch), static_cast<double>(run_.progress.epoch)});
  const ProfileScope scope(profiler_.get(), "log_metrics");
  parts_.loggers.log_metrics(values, step);
}

}  // namespace fathom::training
