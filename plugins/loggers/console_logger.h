// Logger `console`: each row of metrics as a line of the program's log, on stderr and in the run's log file:
// "step 3: train_loss=0.5 epoch=0". Keeps nothing.
#pragma once

#include <string>

#include "fathom/logger.h"
#include "fathom/options.h"

namespace fathom::loggers {

class ConsoleLogger final : public Logger {
 public:
  struct Options {
    std::string prefix;
    static void describe(OptionSet<Options>& o);
  };
  explicit ConsoleLogger(const Options& options) : options_(options) {}

  void log_metrics(std::span<const Metric> metrics, int64_t step) override;
  void log_text(std::string_view name, std::string_view text, int64_t step) override;

 private:
  void append_name(std::string_view name);

  Options options_;
  std::string line_;
};

}  // namespace fathom::loggers
