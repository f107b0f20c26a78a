#include "plugins/callbacks/learning_rate_monitor.h"

#include "fathom/abi/model.h"

namespace fathom::callbacks {
namespace {

bool has_option(Trainer& trainer, size_t group, const char* name) {
  try {
    trainer.optimizer_option(group, name);
    return true;
  } catch (const Error&) {
    return false;  // the optimizer has no such option: that is the question
  }
}

}  // namespace

void LearningRateMonitor::Options::describe(OptionSet<Options>& o) {
  o("logging_interval", &Options::logging_interval, "step, epoch, or null: with every training step that is logged");
  o("log_momentum", &Options::log_momentum, "also log momentum, or the first of betas");
  o("log_weight_decay", &Options::log_weight_decay, "also log weight_decay");
}

LearningRateMonitor::LearningRateMonitor(const Options& options) : options_(options) {
  const std::string interval = options_.logging_interval.value_or("step");
  if (interval != "step" && interval != "epoch") {
    throw Error(Code::kFailed, "is no interval").at("logging_interval").seen(interval).expected("step, epoch or null");
  }
  on(Event::kTrainStart, &LearningRateMonitor::start_training);
  if (interval == "step") {
    on(Event::kTrainBatchStart, &LearningRateMonitor::start_batch);
  } else {
    on(Event::kTrainEpochStart, &LearningRateMonitor::start_epoch);
    on(Event::kTrainEpochEnd, &LearningRateMonitor::end_epoch);
  }
}

void LearningRateMonitor::start_training(Trainer& trainer) {
  const size_t count = trainer.group_count();
  const std::string name = "lr-" + trainer.optimizer_name();
  for (size_t i = 0; i < count; ++i) {
    names_.push_back(count > 1 ? name + "/pg" + std::to_string(i + 1) : name);
    momentum_.push_back(!options_.log_momentum               ? ""
                        : has_option(trainer, i, "momentum") ? "momentum"
                        : has_option(trainer, i, "betas[0]") ? "betas[0]"
                                                             : "");
    decay_.push_back(options_.log_weight_decay && has_option(trainer, i, "weight_decay"));
  }
}

void LearningRateMonitor::read(Trainer& trainer) {
  values_.clear();
  for (size_t i = 0; i < names_.size(); ++i) {
    values_.emplace_back(names_[i], trainer.optimizer_option(i, "lr"));
    if (!momentum_[i].empty()) values_.emplace_back(names_[i] + "-momentum", trainer.optimizer_option(i, momentum_[i]));
    if (decay_[i]) values_.emplace_back(names_[i] + "-weight_decay", trainer.optimizer_option(i, "weight_decay"));
  }
}

void LearningRateMonitor::start_batch(Trainer& trainer) {
  const fathom_progress& p = trainer.progress();
  if (p.log_every_n_steps <= 0 || (p.batches_that_stepped + 1) % p.log_every_n_steps != 0) return;
  read(trainer);
  for (const auto& [name, value] : values_) trainer.log(name, value, FATHOM_METRIC_ON_STEP);
}

void LearningRateMonitor::start_epoch(Trainer& trainer) { read(trainer); }

void LearningRateMonitor::end_epoch(Trainer& trainer) {
  if (values_.empty()) read(trainer);  // resumed within the epoch
  for (const auto& [name, value] : values_) trainer.log(name, value, FATHOM_METRIC_ON_EPOCH);
  values_.clear();
}

}  // namespace fathom::callbacks
