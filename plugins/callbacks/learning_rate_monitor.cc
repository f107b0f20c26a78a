#include "plugins/callbacks/learning_rate_monitor.h"

#include <map>

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
  o("logging_interval", &Options::logging_interval,
    "step, epoch, or null: as often as the optimizer's schedule moves; without a schedule at both");
  o("log_momentum", &Options::log_momentum, "also log momentum, or the first of betas");
  o("log_weight_decay", &Options::log_weight_decay, "also log weight_decay");
}

LearningRateMonitor::LearningRateMonitor(const Options& options) : options_(options) {
  const std::string interval = options_.logging_interval.value_or("");
  if (options_.logging_interval && interval != "step" && interval != "epoch") {
    throw Error(Code::kFailed, "is no interval").at("logging_interval").seen(interval).expected("step, epoch or null");
  }
  on(Event::kTrainStart, &LearningRateMonitor::start_training);
  if (interval != "epoch") on(Event::kTrainBatchStart, &LearningRateMonitor::start_batch);
  if (interval != "step") on(Event::kTrainEpochStart, &LearningRateMonitor::start_epoch);
}

// Lightning's names: "lr-Adam", "lr-Adam/pg1" with several groups, "lr-Adam-1" for a second optimizer of that class.
void LearningRateMonitor::start_training(Trainer& trainer) {
  if (trainer.logger_count() == 0 && trainer.progress().fast_dev_run == 0) {
    throw Error(Code::kFailed, "learning rates cannot be logged: the run has no logger")
        .at("LearningRateMonitor")
        .next("give the run a logger (trainer.logger=true, exp_manager.create_csv_logger), or remove the callback");
  }
  watched_.clear();
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
      if (options_.log_momentum && i == 0 && watched_.back().momentum.empty())
        log(LogLevel::kWarning, "LearningRateMonitor", class_name + " has no momentum: 0 is logged for it");
    }
  }
}

void LearningRateMonitor::log_rates(Trainer& trainer, std::string_view interval) {
  std::vector<std::pair<std::string, double>> row;
  for (const Watched& w : watched_) {
    const std::string own = trainer.schedule_interval(w.optimizer);
    if (!interval.empty() && !own.empty() && own != interval) continue;
    const auto value = [&](std::string_view option) { return trainer.optimizer_option(w.optimizer, w.group, option); };
    row.emplace_back(w.name, value("lr"));
    if (options_.log_momentum) row.emplace_back(w.name + "-momentum", w.momentum.empty() ? 0 : value(w.momentum));
    if (w.decay) row.emplace_back(w.name + "-weight_decay", value("weight_decay"));
  }
  if (!row.empty()) trainer.log_row(row, trainer.progress().batches_that_stepped, /*as_metrics=*/true);
}

void LearningRateMonitor::start_batch(Trainer& trainer) {
  const fathom_progress p = trainer.progress();
  if (p.log_every_n_steps <= 0) return;
  if ((p.batches_that_stepped + 1) % p.log_every_n_steps != 0 && p.should_stop == 0) return;
  log_rates(trainer, options_.logging_interval ? "" : "step");
}

void LearningRateMonitor::start_epoch(Trainer& trainer) {
  log_rates(trainer, options_.logging_interval ? "" : "epoch");
}

}  // namespace fathom::callbacks
