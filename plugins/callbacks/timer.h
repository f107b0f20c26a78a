// Timer: Lightning's. Stops the run after a time; the time used is in the checkpoint, so that a resumed run has the
// rest. StatelessTimer: NeMo's, the same for each run by itself: nothing is kept, and a run that is resumed trains on.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "fathom/callback.h"

namespace fathom::callbacks {

class TimerBase : public Callback {
 public:
  struct Options {
    Json duration = nullptr;
    std::string interval = "step";
    bool verbose = true;
    static void describe(OptionSet<Options>& o) {
      o("duration", &Options::duration,
        "time for training: seconds, \"DD:HH:MM:SS\" or {hours: …}; null: only measure");
      o("interval", &Options::interval, "step or epoch: when to look at the clock");
      o("verbose", &Options::verbose, "say when the time is up");
    }
  };
  explicit TimerBase(const Options& options);

 protected:
  // {"time_elapsed": {"train": seconds, "validate": seconds, …}}
  Json elapsed() const;
  void set_elapsed(const Json& state);

 private:
  // The time is over.
  virtual void stop_run(Trainer& trainer, const std::string& reason) = 0;

  using Clock = std::chrono::steady_clock;
  void start(Trainer& trainer);
  void stop(Trainer& trainer);
  void start_validation(Trainer& trainer);
  void end_validation(Trainer& trainer);
  void start_test(Trainer& trainer);
  void end_test(Trainer& trainer);
  void look(Trainer& trainer);
  double train_seconds() const;

  Options options_;
  std::optional<double> duration_;
  std::optional<Clock::time_point> started_, validating_, testing_;
  double train_ = 0, validate_ = 0, test_ = 0;  // finished stretches
};

class Timer final : public TimerBase, public Stateful {
 public:
  using TimerBase::TimerBase;
  std::string state_key() const override { return "Timer"; }
  Json save_state() const override { return elapsed(); }
  void load_state(const Json& state) override { set_elapsed(state); }

 private:
  void stop_run(Trainer& trainer, const std::string& reason) override { trainer.stop(reason); }
};

class StatelessTimer final : public TimerBase {
 public:
  using TimerBase::TimerBase;

 private:
  void stop_run(Trainer& trainer, const std::string& reason) override { trainer.stop_this_run(reason); }
};

}  // namespace fathom::callbacks
