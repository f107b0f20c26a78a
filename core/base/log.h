// Logging of the host and the core: spdlog on stderr, and into a run's log file once there is one.
// Messages read "[fathom I 12:34:56 component] text"; results never go through here (they are stdout's).
// Thread-safe.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "fathom/log_level.h"

namespace fathom {

void log_message(LogLevel level, std::string_view component, std::string_view text);
void set_log_level(LogLevel lowest);
// Also writes every later message, without colour, to `path` (the run's nemo_log file); "" stops that.
void set_log_file(const std::string& path);
void set_log_colour(bool on);

template <typename... Args>
void log_info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::kInfo, component, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::kWarning, component, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fathom
