#include "plugins/callbacks/timer.h"

#include "plugins/callbacks/time_span.h"

namespace fathom::callbacks {
namespace {

double since(const std::optional<std::chrono::steady_clock::time_point>& start) {
  return start ? std::chrono::duration<double>(std::chrono::steady_clock::now() - *start).count() : 0;
}

}  // namespace

TimerBase::TimerBase(const Options& options) : options_(options) {
  if (options_.interval != "step" && options_.interval != "epoch") {
    throw Error(Code::kFailed, "is no interval").at("interval").seen(options_.interval).expected("step or epoch");
  }
  if (!options_.duration.is_null()) duration_ = read_time_span(options_.duration, "duration");
  on(Event::kTrainStart, &TimerBase::start);
  on(Event::kTrainEnd, &TimerBase::stop);
  on(Event::kValidationStart, &TimerBase::start_validation);
  on(Event::kValidationEnd, &TimerBase::end_validation);
  on(Event::kTestStart, &TimerBase::start_test);
  on(Event::kTestEnd, &TimerBase::end_test);
  if (duration_) on(options_.interval == "step" ? Event::kTrainBatchEnd : Event::kTrainEpochEnd, &TimerBase::look);
}

double TimerBase::train_seconds() const { return train_ + since(started_); }

void TimerBase::start(Trainer& trainer) {
  started_ = Clock::now();
  if (duration_) look(trainer);  // a resumed run may have used its time already
}

void TimerBase::stop(Trainer&) {
  train_ = train_seconds();
  started_.reset();
}

void TimerBase::start_validation(Trainer&) { validating_ = Clock::now(); }
void TimerBase::end_validation(Trainer&) {
  validate_ += since(validating_);
  validating_.reset();
}
void TimerBase::start_test(Trainer&) { testing_ = Clock::now(); }
void TimerBase::end_test(Trainer&) {
  test_ += since(testing_);
  testing_.reset();
}

void TimerBase::look(Trainer& trainer) {
  if (train_seconds() < *duration_ || trainer.progress().should_stop != 0) return;
  stop_run(trainer, "the time allowed is used up");
  if (options_.verbose)
    log(LogLevel::kInfo, "Timer", "time limit reached after " + std::to_string(train_seconds()) + " s");
}

Json TimerBase::elapsed() const {
  return {{"time_elapsed",
           {{"train", train_seconds()},
            {"sanity_check", 0.0},
            {"validate", validate_ + since(validating_)},
            {"test", test_ + since(testing_)},
            {"predict", 0.0}}}};
}

void TimerBase::set_elapsed(const Json& state) {
  const auto saved = options_detail::read<std::map<std::string, double>>(state.at("time_elapsed"), "time_elapsed");
  const auto seconds = [&](const char* stage) { return saved.contains(stage) ? saved.at(stage) : 0; };
  train_ = seconds("train");
  validate_ = seconds("validate");
  test_ = seconds("test");
}

}  // namespace fathom::callbacks
