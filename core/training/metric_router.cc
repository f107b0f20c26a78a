#include "core/training/metric_router.h"

#include "fathom/abi/model.h"

namespace fathom::training {
namespace {

std::map<std::string, double> metrics_from(const Json& json, const char* key) {
  return options_detail::read<std::map<std::string, double>>(json.at(key), key);
}

}  // namespace

void MetricRouter::begin_training_start() {
  place_ = &training_;
  hook_ = Hook::kEpochEnd;
  current_ = {};
}

void MetricRouter::begin_training_step() {
  broken_off_.reset();
  training_.begin_step();
  place_ = &training_;
  hook_ = Hook::kTrainStep;
  current_ = {};
}

void MetricRouter::begin_training_epoch_end() {
  place_ = &training_;
  hook_ = Hook::kEpochEnd;
  current_ = {};
}

void MetricRouter::begin_evaluation(EvalKind kind, const EvalLoaderPlan& plan, int64_t loaders) {
  // What the step before it logged is known from now on, and no newer than what the evaluation logs.
  training_.read_steps(callback_metrics_);
  training_.read_progress_bar(progress_bar_metrics_);
  training_.begin_step();
  place_ = &evaluation_;
  hook_ = Hook::kEpochEnd;  // its start is no step either
  current_ = {kind, &plan, loaders, 0, {}, {}};
}

void MetricRouter::begin_eval_step(int64_t loader) {
  evaluation_.begin_step();
  hook_ = Hook::kEvalStep;
  current_.loader = loader;
}

void MetricRouter::begin_eval_epoch_end(int64_t loader) {
  hook_ = Hook::kEpochEnd;
  current_.loader = loader;
}

void MetricRouter::log(std::string_view name, const at::Tensor* tensor, double value, uint32_t flags,
                       double batch_size) {
  if (place_ == nullptr) {
    throw Error(Code::kFailed, "metrics cannot be logged here")
        .seen(std::string(name))
        .expected("a step, or the end of an epoch");
  }
  if (name.find(MetricHub::kLoaderMark) != std::string_view::npos) {
    throw Error(Code::kFailed, "a metric's name must not hold " + std::string(MetricHub::kLoaderMark))
        .seen(std::string(name))
        .next("log it under its own name: the loader's number is added where there are several");
  }
  if (current_.loaders > 1 && hook_ == Hook::kEpochEnd)
    return log_epoch_of_loader(name, tensor, value, flags, batch_size);
  if (current_.loaders > 1 && (flags & FATHOM_METRIC_NO_DATALOADER_IDX) == 0) {
    const std::string full = std::string(name) + std::string(MetricHub::kLoaderMark) + std::to_string(current_.loader);
    return place_->log(hook_, full, tensor, value, flags, batch_size);
  }
  if (current_.loaders > 1) {
    const auto [known, added] = current_.loader_of.try_emplace(std::string(name), current_.loader);
    if (known->second != current_.loader) {
      throw Error(Code::kFailed, "two loaders log one name without their number")
          .seen(std::string(name))
          .next("log it with the number (add_dataloader_idx), or under a name for each loader");
    }
  }
  place_->log(hook_, name, tensor, value, flags, batch_size);
}

void MetricRouter::log_epoch_of_loader(std::string_view name, const at::Tensor* tensor, double value, uint32_t flags,
                                       double batch_size) {
  const std::string prefix = current_.plan->prefix(current_.kind, static_cast<size_t>(current_.loader));
  const bool is_main = current_.loader == current_.plan->dl_idx;
  for (const std::string& full : eval_metric_names(prefix, name, is_main, current_.logged_at_epoch_end)) {
    current_.logged_at_epoch_end.insert(full);
    place_->log(hook_, full, tensor, value, flags, batch_size);
  }
}

void MetricRouter::log_training_step(std::string_view name, double value) {
  training_.log(Hook::kTrainStep, name, nullptr, value, FATHOM_METRIC_ON_STEP, 1);
}

MetricRow MetricRouter::finish_epoch() {
  if (place_ == &training_) training_.read_steps(callback_metrics_);
  return place_->finish_epoch(callback_metrics_, progress_bar_metrics_);
}

const std::map<std::string, double>& MetricRouter::callback_metrics() {
  training_.read_steps(callback_metrics_);
  return callback_metrics_;
}

const std::map<std::string, double>& MetricRouter::progress_bar_metrics() {
  training_.read_progress_bar(progress_bar_metrics_);
  return progress_bar_metrics_;
}

MetricRow MetricRouter::break_off_epoch() {
  broken_off_ = training_;
  return finish_epoch();
}

void MetricRouter::put_back(Finished finished) {
  callback_metrics_ = std::move(finished.callback_metrics);
  progress_bar_metrics_ = std::move(finished.progress_bar_metrics);
}

void MetricRouter::save_state(Json& state) const {
  state["callback_metrics"] = options_detail::dump(callback_metrics_);
  state["progress_bar_metrics"] = options_detail::dump(progress_bar_metrics_);
  state["train_metrics"] = (broken_off_ ? *broken_off_ : training_).save_state();
}

void MetricRouter::load_state(const Json& state) {
  callback_metrics_ = metrics_from(state, "callback_metrics");
  progress_bar_metrics_ = metrics_from(state, "progress_bar_metrics");
  training_.load_state(state.at("train_metrics"));
}

}  // namespace fathom::training
