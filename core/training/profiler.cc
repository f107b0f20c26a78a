#include "core/training/profiler.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/base/file.h"
#include "core/base/log.h"

namespace fathom::training {
namespace {

constexpr std::array kEventNames = {"setup",
                                    "on_fit_start",
                                    "on_sanity_check_start",
                                    "on_sanity_check_end",
                                    "on_train_start",
                                    "on_train_epoch_start",
                                    "on_train_batch_start",
                                    "on_before_zero_grad",
                                    "on_before_backward",
                                    "on_after_backward",
                                    "on_before_optimizer_step",
                                    "on_train_batch_end",
                                    "on_train_epoch_end",
                                    "on_train_end",
                                    "on_fit_end",
                                    "on_validation_start",
                                    "on_validation_epoch_start",
                                    "on_validation_batch_start",
                                    "on_validation_batch_end",
                                    "on_validation_epoch_end",
                                    "on_validation_end",
                                    "on_test_start",
                                    "on_test_epoch_start",
                                    "on_test_batch_start",
                                    "on_test_batch_end",
                                    "on_test_epoch_end",
                                    "on_test_end",
                                    "on_exception",
                                    "teardown",
                                    "on_interrupt",
                                    "on_predict_start",
                                    "on_predict_epoch_start",
                                    "on_predict_batch_start",
                                    "on_predict_batch_end",
                                    "on_predict_epoch_end",
                                    "on_predict_end"};
static_assert(kEventNames.size() == FATHOM_EVENT_COUNT);

double seconds_of(Profiler::Clock::duration time) { return std::chrono::duration<double>(time).count(); }

int64_t nanoseconds_of(Profiler::Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

}  // namespace

size_t Profiler::action(std::string_view name) {
  const auto [found, added] = by_name_.try_emplace(std::string(name), actions_.size());
  if (added) actions_.push_back({std::string(name), 0, {}});
  return found->second;
}

size_t Profiler::callback_action(const CallbackHandle& callback, uint32_t event) {
  std::vector<size_t>& known = by_callback_[&callback];
  known.resize(FATHOM_EVENT_COUNT);
  if (known[event] == 0) known[event] = action("[Callback]" + callback.name() + "." + kEventNames[event]) + 1;
  return known[event] - 1;
}

void Profiler::add(size_t action, Clock::time_point start, Clock::time_point end) {
  ++actions_[action].calls;
  actions_[action].total += end - start;
  if (events_.size() < kMostEvents)
    events_.push_back({static_cast<uint32_t>(action), start - started_, end - start});
  else
    ++left_out_;
}

std::string Profiler::table(std::string_view what) const {
  const double whole = seconds_of(Clock::now() - started_);
  int64_t calls = 0;
  size_t width = std::string_view("Action").size();
  for (const Action& action : actions_) {
    calls += action.calls;
    width = std::max(width, action.name.size());
  }
  std::vector<const Action*> sorted;
  for (const Action& action : actions_) sorted.push_back(&action);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Action* a, const Action* b) { return a->total > b->total; });
  const std::string head = fmt::format("{:<{}}  |  {:>17}  |  {:>9}  |  {:>14}  |  {:>12}", "Action", width,
                                       "Mean duration (s)", "Num calls", "Total time (s)", "Percentage %");
  const std::string line(head.size(), '-');
  const auto row = [&](std::string_view name, const std::string& mean, int64_t count, double total) {
    return fmt::format("{:<{}}  |  {:>17}  |  {:>9}  |  {:>14.5g}  |  {:>12.5g}\n", name, width, mean, count, total,
                       whole > 0 ? 100 * total / whole : 0);
  };
  std::string out = std::string(what) + " Profiler Report\n\n" + line + "\n" + head + "\n" + line + "\n";
  out += row("Total", "-", calls, whole) + line + "\n";
  for (const Action* action : sorted) {
    const double total = seconds_of(action->total);
    out += row(action->name, fmt::format("{:.5g}", total / static_cast<double>(std::max<int64_t>(1, action->calls))),
               action->calls, total);
  }
  return out + line + "\nAn action's time holds that of the actions within it.\n";
}

std::string Profiler::trace() const {
  const int64_t pid = ::getpid();
  std::vector<std::string> names;
  for (const Action& action : actions_) names.push_back(json_text(Json(action.name)));
  std::string out = "{\"displayTimeUnit\": \"ms\",\n\"otherData\": {\"events\": " + std::to_string(events_.size()) +
                    ", \"events_left_out\": " + std::to_string(left_out_) + "},\n\"traceEvents\": [\n";
  out += fmt::format(R"({{"name":"process_name","ph":"M","pid":{0},"tid":{0},"args":{{"name":"fathom train"}}}})", pid);
  for (const Event& event : events_) {
    const int64_t start = nanoseconds_of(event.start), length = nanoseconds_of(event.length);
    out += fmt::format(",\n{{\"name\":{},\"ph\":\"X\",\"ts\":{}.{:03},\"dur\":{}.{:03},\"pid\":{},\"tid\":{}}}",
                       names[event.action], start / 1000, start % 1000, length / 1000, length % 1000, pid, pid);
  }
  return out + "\n]}\n";
}

void Profiler::write(const std::string& folder) const {
  const std::string text = table();
  write_file_atomically(folder + "/profile.txt", text);
  write_file_atomically(folder + "/profile.json", trace());
  log_info("profiler", "\n{}trace: {}/profile.json, {} events, {} later ones left out", text, folder, events_.size(),
           left_out_);
}

}  // namespace fathom::training
