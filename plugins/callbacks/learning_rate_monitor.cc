#include "plugins/callbacks/learning_rate_monitor.h"

#include <map>

#include "fathom/abi/model.h"

namespace fathom::callbacks {
namespace {

bool has_option(Trainer& trainer, size_t optimizer, size_t group, const char* name) {
  try {
    trainer.optimizer_option(optimizer, group, name);
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

// Lightning's names: "lr-Adam", "lr-Adam/pg1" with several groups, "lr-Adam-1" for a second optimizer of that class.
void LearningRateMonitor::start_training(Trainer& trainer) {
  std::map<std::string, int> seen;
  for (size_t optimizer = 0; optimizer < trainer.optimizer_count(); ++optimizer) {
    const std::string class_name = trainer.optimizer_name(optimizer);
    std::string name = "lr-" + class_name;
    if (const int before = seen[class_name]++; before > 0) name += "-" + std::to_string(before);
    const size_t count = trainer.group_count(optimizer);
    for (size_t i = 0; i < count; ++i) {
      watched_.push_back({optimizer, i, count > 1 ? name + "/pg" + std::to_string(i + 1) : name,
                          !options_.log_momentum                          ? ""
                          : has_option(trainer, optimizer, i, "momentum") ? "momentum"
                          : has_option(trainer, optimizer, i, "betas[0]") ? "betas[0]"
                                                                          : "",
                          options_.log_weight_decay && has_option(trainer, optimizer, i, "weight_decay")});
    }
  }
}

void LearningRateMonitor::read(Trainer& trainer) {
  values_.clear();
  for (const Watched& w : watched_) {
    const auto add = [&](const std::string& name, std::string_view option) {
      values_.emplace_back(name, trainer.optimizer_option(w.optimizer, w.group, option));
    };
    add(w.name, "lr");
    if (!w.momentum.empty()) add(w.name + "-momentum", w.momentum);
    if (w.decay) add(w.name + "-weight_decay", "weight_decay");
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
