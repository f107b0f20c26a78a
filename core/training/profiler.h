// Where the time of a training goes: Lightning's simple profiler, and a trace for chrome://tracing or Perfetto.
//
// An action is what is timed under one name; those within it count in it too, so that shares add up to more than 100 %.
// Without a profiler a scope costs a branch. Used by the training thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fathom/callback.h"

namespace fathom::training {

class Profiler {
 public:
  using Clock = std::chrono::steady_clock;
  // The trace holds the first events only (2 to 3 MB a 10,000): a run has no end of them.
  static constexpr size_t kMostEvents = 50'000;

  // Time is counted from here on.
  Profiler() : started_(Clock::now()) {}

  // A number for a name; the same for the same name.
  size_t action(std::string_view name);
  // "[Callback]NAME.on_train_start"
  size_t callback_action(const CallbackHandle& callback, uint32_t event);
  void add(size_t action, Clock::time_point start, Clock::time_point end);

  // "`what` Profiler Report": Action | Mean duration (s) | Num calls | Total time (s) | Percentage %, the largest share
  // first.
  std::string table(std::string_view what = "FIT") const;
  // JSON of complete events ("ph": "X") in microseconds.
  std::string trace() const;
  // Both into a run's folder, profile.txt and profile.json, and the table into the log.
  void write(const std::string& folder) const;

 private:
  struct Action {
    std::string name;
    int64_t calls = 0;
    Clock::duration total{};
  };
  struct Event {
    uint32_t action;
    Clock::duration start, length;
  };
  Clock::time_point started_;
  std::vector<Action> actions_;
  std::unordered_map<std::string, size_t> by_name_;
  std::unordered_map<const void*, std::vector<size_t>> by_callback_;  // an action of each event + 1; 0: none yet
  std::vector<Event> events_;
  int64_t left_out_ = 0;  // of the trace
};

// Times what happens while it lives; nothing without a profiler.
class ProfileScope {
 public:
  ProfileScope(Profiler* profiler, std::string_view action) : profiler_(profiler) {
    if (profiler_ != nullptr) begin(profiler_->action(action));
  }
  ProfileScope(Profiler* profiler, const CallbackHandle& callback, uint32_t event) : profiler_(profiler) {
    if (profiler_ != nullptr) begin(profiler_->callback_action(callback, event));
  }
  ~ProfileScope() {
    if (profiler_ != nullptr) profiler_->add(action_, start_, Profiler::Clock::now());
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  void begin(size_t action) {
    action_ = action;
    start_ = Profiler::Clock::now();
  }
  Profiler* profiler_;
  size_t action_ = 0;
  Profiler::Clock::time_point start_;
};

// What `body` gives, timed.
template <typename Body>
decltype(auto) profiled(Profiler* profiler, std::string_view action, Body&& body) {
  const ProfileScope scope(profiler, action);
  return body();
}

}  // namespace fathom::training
