#include "plugins/callbacks/timer.h"

#include "plugins/callbacks/time_span.h"

namespace fathom::callbacks {
namespace {

double since(const std::optional<std::chrono::steady_clock::time_point>& start) {
  return start ? std::chrono::duration<double>(std::chrono::steady_clock::now() - *start).count() : 0;
}

}  // namespace

Timer::Timer(const Options& options) : options_(options) {
  if (options_.interval != "step" && options_.interval != "epoch") {
    throw Error(Code::kFailed, "is no interval").at("interval").seen(options_.interval).expected("step or epoch");
  }
  if (!options_.duration.is_null()) duration_ = read_time_span(options_.duration, "duration");
  on(Event::kTrainStart, &Timer::start);
  on(Event::kTrainEnd, &Timer::stop);
  on(Event::kValidationStart, &Timer::start_validation);
  on(Event::kValidationEnd, &Timer::end_validation);
  on(Event::kTestStart, &Timer::start_test);
  on(Event::kTestEnd, &Timer::end_test);
  if (duration_) on(options_.interval == "step" ? Event::kTrainBatchEnd : Event::kTrainEpochEnd, &Timer::look);
}

double Timer::train_seconds() const { return train_ + since(started_); }

void Timer::start(Trainer& trainer) {
  started_ = Clock::now();
  if (duration_) look(trainer);  // a resumed run may have used its time already
}

void Timer::stop(Trainer&) {
  train_ = train_seconds();
  started_.reset();
}

void Timer::start_validation(Trainer&) { validating_ = Clock::now(); }
void Timer::end_validation(Trainer&) {
  validate_ += since(validating_);
  validating_.reset();
}
void Timer::start_test(Trainer&) { testing_ = Clock::now(); }
void Timer::end_test(Trainer&) {
  test_ += since(testing_);
  testing_.reset();
}

void Timer::look(Trainer& trainer) {
  if (train_seconds() < *duration_ || trainer.progress().should_stop != 0) return;
  trainer.stop("the time allowed is used up");
  if (options_.verbose)
    log(LogLevel::kInfo, "Timer", "time limit reached after " + std::to_string(train_seconds()) + " s");
}

Json Timer::save_state() const {
  return {{"time_elapsed",
           {{"train", train_seconds()},
            {"sanity_check", 0.0},
            {"validate", validate_ + since(validating_)},
            {"test", test_ + since(testing_)},
            {"predict", 0.0}}}};
}

void Timer::load_state(const Json& state) {
  const Json& elapsed = state.at("time_elapsed");
  train_ = elapsed.value("train", 0.0);
  validate_ = elapsed.value("validate", 0.0);
  test_ = elapsed.value("test", 0.0);
}

}  // namespace fathom::callbacks
