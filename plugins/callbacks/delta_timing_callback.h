// DeltaTimingCallback: NeMo's. Says in the log how long each step took, from the end of the one before to its own, so
// that loading data is in it; loggers get no rows. Made in place of TimingCallback with
// exp_manager.log_delta_step_timing.
#pragma once

#include <chrono>
#include <string>

#include "fathom/callback.h"

namespace fathom::callbacks {

class DeltaTimingCallback final : public Callback {
 public:
  struct Options {
    bool sync_cuda = false;
    static void describe(OptionSet<Options>& o) {
      o("sync_cuda", &Options::sync_cuda, "accepted: on a CPU a step is over when it returns");
    }
  };
  explicit DeltaTimingCallback(const Options& options);

 private:
  struct Watch {
    std::string name;
    int64_t step = 0;  // of the epoch
    std::chrono::steady_clock::time_point since;
  };
  static void start(Watch& watch);
  static void tell(Watch& watch);
  void start_train(Trainer&) { start(train_); }
  void end_train(Trainer&) { tell(train_); }
  void start_validation(Trainer&) { start(validation_); }
  void end_validation(Trainer&) { tell(validation_); }
  void start_test(Trainer&) { start(test_); }
  void end_test(Trainer&) { tell(test_); }

  Watch train_{"train_step_timing", 0, {}}, validation_{"validation_step_timing", 0, {}},
      test_{"test_step_timing", 0, {}};
};

}  // namespace fathom::callbacks
