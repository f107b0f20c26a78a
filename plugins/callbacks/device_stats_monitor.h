// DeviceStatsMonitor: Lightning's. At the start and the end of the batches of each loop, whenever step metrics are due,
// a row says how busy the machine is: DeviceStatsMonitor.on_train_batch_start/cpu_percent and so on. Not in the sanity
// check.
#pragma once

#include <optional>

#include "fathom/callback.h"
#include "plugins/callbacks/system_stats.h"

namespace fathom::callbacks {

class DeviceStatsMonitor final : public Callback {
 public:
  struct Options {
    std::optional<bool> cpu_stats;
    static void describe(OptionSet<Options>& o) {
      o("cpu_stats", &Options::cpu_stats, "numbers of the CPU, the one device here; false: none");
    }
  };
  explicit DeviceStatsMonitor(const Options& options);

 private:
  void start_fit(Trainer& trainer);
  void start_train_batch(Trainer& trainer);
  void end_train_batch(Trainer& t) { log_stats(t, "on_train_batch_end", step_, step_ + 1); }
  void start_evaluation(Trainer&) { evaluated_ = 0; }
  void start_validation_batch(Trainer& t) { log_stats(t, "on_validation_batch_start", step_, ++evaluated_); }
  void end_validation_batch(Trainer& t) { log_stats(t, "on_validation_batch_end", step_, evaluated_); }
  void start_test_batch(Trainer& t) {
    log_stats(t, "on_test_batch_start", t.progress().batches_that_stepped, ++evaluated_);
  }
  void end_test_batch(Trainer& t) { log_stats(t, "on_test_batch_end", t.progress().batches_that_stepped, evaluated_); }
  // A row at `step` when `count` is one that rows are due at.
  void log_stats(Trainer& trainer, const char* hook, int64_t step, int64_t count);

  SystemStats stats_;
  int64_t step_ = 0;       // Lightning's x-axis, which moves on only after the validation that follows a step
  int64_t evaluated_ = 0;  // batches of the evaluation, over all loaders
};

}  // namespace fathom::callbacks
