// A run's loggers as one. A logger that fails never stops training: the first failure of any call is a warning with the
// logger's name and its error, and that logger is left out from then on. Uses no torch. Training thread only.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fathom/logger.h"

namespace fathom::training {

class LoggerGroup {
 public:
  void add(LoggerHandle logger);
  // Those that still log.
  size_t size() const;
  std::vector<std::string> names() const;  // of all, in order

  void log_metrics(std::span<const fathom_metric_value> metrics, int64_t step);
  void log_hyperparams(const Json& hyperparams);
  void log_text(std::string_view name, std::string_view text, int64_t step);
  void log_histogram(std::string_view name, const fathom_float_array& values, int64_t step);
  void log_audio(std::string_view name, const fathom_float_array& samples, int64_t sample_rate, int64_t step);
  void log_image(std::string_view name, const fathom_float_array& pixels, int64_t step);
  void save();
  void finalize(std::string_view status);

  // [{"name", "state"}…] in order, for a checkpoint. Of a logger that was left out, what it said last before: a resumed
  // run may go on from there.
  Json save_state();
  // Each logger takes the state of its name, the second of a name the second state. One without a state starts afresh,
  // with a message.
  void load_state(const Json& saved);

 private:
  struct Member {
    LoggerHandle logger;
    bool failed = false;
    Json state = nullptr;  // as saved last
  };
  void each(const char* what, const std::function<void(Member&)>& call);

  std::vector<Member> members_;
};

}  // namespace fathom::training
