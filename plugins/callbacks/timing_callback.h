// TimingCallback: NeMo's. Logs "train_step_timing in s", "train_backward_timing in s", "validation_step_timing in s"
// and "test_step_timing in s", each the mean (or another reduction) of the last buffer_size steps.
#pragma once

#include <chrono>
#include <deque>
#include <string>

#include "fathom/callback.h"

namespace fathom::callbacks {

class TimingCallback final : public Callback {
 public:
  struct Options {
    std::string reduction = "mean";
    bool sync_cuda = false;
    int64_t buffer_size = 1;
    static void describe(OptionSet<Options>& o) {
      o("reduction", &Options::reduction, "mean, sum, min, max or median of the last steps");
      o("sync_cuda", &Options::sync_cuda, "accepted: on a CPU a step is over when it returns");
      o("buffer_size", &Options::buffer_size, "steps that are reduced to one number");
    }
  };
  explicit TimingCallback(const Options& options);

 private:
  struct Watch {
    std::string name;
    bool in_progress_bar = false;
    std::chrono::steady_clock::time_point started;
    std::deque<double> seconds;
  };
  void start(Watch& watch);
  void stop(Watch& watch, Trainer& trainer);
  double reduced(const std::deque<double>& seconds) const;

  void start_train(Trainer&) { start(train_); }
  void end_train(Trainer& t) { stop(train_, t); }
  void start_backward(Trainer&) { start(backward_); }
  void end_backward(Trainer& t) { stop(backward_, t); }
  void start_validation(Trainer&) { start(validation_); }
  void end_validation(Trainer& t) { stop(validation_, t); }
  void start_test(Trainer&) { start(test_); }
  void end_test(Trainer& t) { stop(test_, t); }

  Options options_;
  Watch train_{"train_step_timing in s", true, {}, {}}, backward_{"train_backward_timing in s", false, {}, {}},
      validation_{"validation_step_timing in s", false, {}, {}}, test_{"test_step_timing in s", false, {}, {}};
};

}  // namespace fathom::callbacks
