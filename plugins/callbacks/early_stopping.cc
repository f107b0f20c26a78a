#include "plugins/callbacks/early_stopping.h"

#include <cmath>
#include <limits>

#include "plugins/callbacks/model_checkpoint.h"

namespace fathom::callbacks {
namespace {

std::string text_of(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

}  // namespace

void EarlyStopping::Options::describe(OptionSet<Options>& o) {
  o("monitor", &Options::monitor, "metric to watch");
  o("min_delta", &Options::min_delta, "a smaller change is no improvement");
  o("patience", &Options::patience, "checks without improvement after which the run stops");
  o("verbose", &Options::verbose, "say when the metric has improved");
  o("mode", &Options::mode, "min or max: which values are better");
  o("strict", &Options::strict, "a metric that is not logged is an error");
  o("check_finite", &Options::check_finite, "stop when the metric is NaN or infinite");
  o("stopping_threshold", &Options::stopping_threshold, "stop once the metric is better than this");
  o("divergence_threshold", &Options::divergence_threshold, "stop once the metric is worse than this");
  o("check_on_train_epoch_end", &Options::check_on_train_epoch_end,
    "check at the end of training epochs; null: decide by the validation interval");
  o("log_rank_zero_only", &Options::log_rank_zero_only, "with one process without effect");
}

EarlyStopping::EarlyStopping(const Options& options)
    : options_(options), best_score_((options.mode == "max" ? -1 : 1) * std::numeric_limits<double>::infinity()) {
  if (options_.mode != "min" && options_.mode != "max") {
    throw Error(Code::kFailed, "is no mode").at("mode").seen(options_.mode).expected("min or max");
  }
  on(Event::kFitStart, &EarlyStopping::start_fit);
  on(Event::kTrainEpochEnd, &EarlyStopping::end_epoch);
  on(Event::kValidationEnd, &EarlyStopping::end_validation);
  on(Event::kFitEnd, &EarlyStopping::end_fit);
}

std::string EarlyStopping::state_key() const {
  return "EarlyStopping{'monitor': " + python_repr(options_.monitor) + ", 'mode': " + python_repr(options_.mode) + "}";
}

Json EarlyStopping::save_state() const {
  return {{"wait_count", wait_count_},
          {"stopped_epoch", stopped_epoch_},
          {"best_score", options_detail::dump(best_score_)},
          {"patience", options_.patience}};
}

void EarlyStopping::load_state(const Json& state) {
  wait_count_ = state.at("wait_count").get<int64_t>();
  stopped_epoch_ = state.at("stopped_epoch").get<int64_t>();
  // The state's own patience, which Lightning would take: a config that was changed means what it says now.
  const Json& best = state.at("best_score");
  if (best.is_number() || best == "inf" || best == "-inf" || best == "nan") {
    best_score_ = options_detail::read<double>(best, "best_score");
  } else {
    log(LogLevel::kWarning, "EarlyStopping",
        "the best score of the earlier run is not readable; the next one counts as the best");
  }
}

bool EarlyStopping::at_epoch_end(const fathom_progress& p) const {
  return options_.check_on_train_epoch_end.value_or(p.val_check_interval == 1.0 && p.check_val_every_n_epoch == 1);
}

void EarlyStopping::start_fit(Trainer&) { fitting_ = true; }
void EarlyStopping::end_fit(Trainer&) { fitting_ = false; }
void EarlyStopping::end_epoch(Trainer& trainer) {
  if (at_epoch_end(trainer.progress())) check_metric(trainer);
}
void EarlyStopping::end_validation(Trainer& trainer) {
  if (!at_epoch_end(trainer.progress())) check_metric(trainer);
}

void EarlyStopping::check_metric(Trainer& trainer) {
  const fathom_progress& p = trainer.progress();
  if (!fitting_ || p.sanity_checking != 0 || p.fast_dev_run != 0) return;
  const auto value = trainer.metric(options_.monitor);
  if (!value) {
    std::string names;
    for (const auto& [name, ignored] : trainer.metrics()) names += (names.empty() ? "" : ", ") + name;
    const std::string what = "early stopping watches a metric that is not there";
    if (options_.strict) {
      throw Error(Code::kFailed, what)
          .at("EarlyStopping.monitor")
          .seen(options_.monitor)
          .expected("one of: " + names)
          .next("log it, or monitor another");
    }
    return log(LogLevel::kWarning, "EarlyStopping", what + ": " + options_.monitor + "; there are: " + names);
  }
  const double before = best_score_;
  const std::string reason = judge(static_cast<double>(static_cast<float>(*value)));
  if (!reason.empty()) {
    stopped_epoch_ = p.epoch;
    trainer.stop(reason);
    log(LogLevel::kInfo, "EarlyStopping", reason);
  } else if (options_.verbose && best_score_ != before) {
    log(LogLevel::kInfo, "EarlyStopping", options_.monitor + " improved to " + text_of(best_score_));
  }
}

std::string EarlyStopping::judge(double value) {
  const std::string what = options_.monitor + " = " + text_of(value);
  if (options_.check_finite && !std::isfinite(value))
    return what + " is not finite; the best was " + text_of(best_score_);
  if (options_.stopping_threshold && better(value, *options_.stopping_threshold)) {
    return what + " has reached the stopping threshold " + text_of(*options_.stopping_threshold);
  }
  if (options_.divergence_threshold && better(-value, -*options_.divergence_threshold)) {
    return what + " has passed the divergence threshold " + text_of(*options_.divergence_threshold);
  }
  const double delta = std::fabs(options_.min_delta) * (options_.mode == "max" ? 1 : -1);
  if (better(value - delta, best_score_)) {
    best_score_ = value;
    wait_count_ = 0;
    return "";
  }
  if (++wait_count_ < options_.patience) return "";
  return options_.monitor + " did not improve in the last " + std::to_string(wait_count_) + " checks; the best was " +
         text_of(best_score_);
}

}  // namespace fathom::callbacks
