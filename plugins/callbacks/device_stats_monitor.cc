#include "plugins/callbacks/device_stats_monitor.h"

#include <string>

namespace fathom::callbacks {

DeviceStatsMonitor::DeviceStatsMonitor(const Options& options) {
  using D = DeviceStatsMonitor;
  on(Event::kFitStart, &D::start_fit);
  if (!options.cpu_stats.value_or(true)) return;
  on(Event::kTrainBatchStart, &D::start_train_batch);
  on(Event::kTrainBatchEnd, &D::end_train_batch);
  for (const Event start : {Event::kValidationStart, Event::kTestStart}) on(start, &D::start_evaluation);
  on(Event::kValidationBatchStart, &D::start_validation_batch);
  on(Event::kValidationBatchEnd, &D::end_validation_batch);
  on(Event::kTestBatchStart, &D::start_test_batch);
  on(Event::kTestBatchEnd, &D::end_test_batch);
}

void DeviceStatsMonitor::start_fit(Trainer& trainer) {
  if (trainer.logger_count() > 0 || trainer.progress().fast_dev_run != 0) return;
  throw Error(Code::kFailed, "device statistics cannot be logged: the run has no logger")
      .at("DeviceStatsMonitor")
      .next("give the run a logger (trainer.logger=true, exp_manager.create_csv_logger), or remove the callback");
}

void DeviceStatsMonitor::start_train_batch(Trainer& trainer) {
  step_ = trainer.progress().batches_that_stepped;
  log_stats(trainer, "on_train_batch_start", step_, step_ + 1);
}

void DeviceStatsMonitor::log_stats(Trainer& trainer, const char* hook, int64_t step, int64_t count) {
  const fathom_progress p = trainer.progress();
  if (p.sanity_checking != 0 || p.log_every_n_steps <= 0) return;
  if (count % p.log_every_n_steps != 0 && p.should_stop == 0) return;
  std::vector<std::pair<std::string, double>> row = stats_.read();
  for (auto& [name, value] : row) name = std::string("DeviceStatsMonitor.") + hook + "/" + name;
  trainer.log_row(row, step);
}

}  // namespace fathom::callbacks
