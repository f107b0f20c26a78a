#include "plugins/loggers/console_logger.h"

#include <cstdio>

#include "plugins/loggers/number_text.h"

namespace fathom::loggers {

void ConsoleLogger::Options::describe(OptionSet<Options>& o) {
  o("prefix", &Options::prefix, "put before every metric's name, joined with '-'");
}

void ConsoleLogger::append_name(std::string_view name) {
  if (!options_.prefix.empty() && !is_count(name)) line_.append(options_.prefix).append("-");
  line_ += name;
}

void ConsoleLogger::log_metrics(std::span<const Metric> metrics, int64_t step) {
  line_ = "step " + std::to_string(step) + ":";
  for (const auto& [name, value] : metrics) {
    line_ += ' ';
    append_name(name);
    char text[40];
    std::snprintf(text, sizeof text, "=%.6g", value);
    line_ += text;
  }
  log(LogLevel::kInfo, "console", line_);
}

void ConsoleLogger::log_text(std::string_view name, std::string_view text, int64_t step) {
  line_ = "step " + std::to_string(step) + ": ";
  append_name(name);
  line_.append(": ").append(text);
  log(LogLevel::kInfo, "console", line_);
}

}  // namespace fathom::loggers
