#include "plugins/callbacks/preemption_callback.h"

#include <cerrno>
#include <cstring>

namespace fathom::callbacks {
namespace {

volatile std::sig_atomic_t g_preempted = 0;

constexpr std::pair<const char*, int> kSignals[] = {{"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},   {"SIGHUP", SIGHUP},
                                                    {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}, {"SIGQUIT", SIGQUIT},
                                                    {"SIGALRM", SIGALRM}, {"SIGXCPU", SIGXCPU}, {"SIGPWR", SIGPWR}};

int read_signal(const Json& given) {
  if (given.is_null()) return SIGTERM;
  if (given.is_number_integer() && given > 0 && given < NSIG) return given.get<int>();
  std::vector<std::string> names;
  for (const auto& [name, number] : kSignals) {
    if (given == name) return number;
    names.emplace_back(name);
  }
  throw Error(Code::kFailed, "is no signal")
      .at("sig")
      .seen(json_text(given))
      .expected("a number, or a name such as SIGUSR1")
      .candidates(given.is_string() ? nearest_names(given.get<std::string>(), names) : std::vector<std::string>());
}

}  // namespace

PreemptionCallback::PreemptionCallback(const Options& options) : signal_(read_signal(options.sig)) {
  if (signal_ == SIGKILL || signal_ == SIGSTOP)
    throw Error(Code::kFailed, "no process can catch this signal").at("sig").seen(json_text(options.sig));
  if (!options.checkpoint_callback.is_null()) {
    throw Error(Code::kUnavailable, "a callback of Python cannot be called")
        .at("checkpoint_callback")
        .seen(json_text(options.checkpoint_callback))
        .expected("null: every checkpoint callback of the run saves");
  }
  on(Event::kTrainStart, &PreemptionCallback::start);
  if (signal_ == SIGTERM || signal_ == SIGINT) return;
  on(Event::kTrainBatchEnd, &PreemptionCallback::look);
  on(Event::kValidationEnd, &PreemptionCallback::look);
  for (const Event event : {Event::kTrainEnd, Event::kException}) on(event, &PreemptionCallback::end);
}

void PreemptionCallback::start(Trainer&) {
  if (signal_ == SIGTERM || signal_ == SIGINT)
    return log(LogLevel::kInfo, "PreemptionCallback", "a run saves and ends on SIGTERM and SIGINT by itself");
  g_preempted = 0;
  struct sigaction action {};
  action.sa_handler = [](int) { g_preempted = 1; };
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  if (::sigaction(signal_, &action, &before_) != 0)
    throw Error(Code::kFailed, std::string("the signal cannot be caught: ") + std::strerror(errno))
        .at("sig")
        .seen(std::to_string(signal_));
  catches_ = true;
}

void PreemptionCallback::look(Trainer& trainer) {
  if (g_preempted == 0) return;
  g_preempted = 0;
  log(LogLevel::kWarning, "PreemptionCallback", "preempted by signal " + std::to_string(signal_) + ": saving");
  trainer.interrupt(signal_);
}

void PreemptionCallback::restore() {
  if (catches_) ::sigaction(signal_, &before_, nullptr);
  catches_ = false;
}

}  // namespace fathom::callbacks
