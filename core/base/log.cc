#include "core/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>

#include "fathom/error.h"

namespace fathom {
namespace {

constexpr const char* kPattern = "%^[fathom %L %H:%M:%S %n]%$ %v";

// A terminal may show a line that is updated (progress), with the cursor at its start: what is left of it goes first.
bool erases_line() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

struct Sinks {
  std::mutex mutex;
  std::shared_ptr<spdlog::sinks::stderr_color_sink_mt> console;
  std::shared_ptr<spdlog::sinks::basic_file_sink_mt> file;
  bool file_fails = false;
  spdlog::level::level_enum lowest = spdlog::level::info;

  Sinks() : console(std::make_shared<spdlog::sinks::stderr_color_sink_mt>(spdlog::color_mode::automatic)) {
    console->set_pattern((erases_line() ? "\x1b[2K" : "") + std::string(kPattern));
  }
};

// Leaked on purpose: plugins may log while the process ends.
Sinks& sinks() {
  static auto* instance = new Sinks();
  return *instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void log_message(LogLevel level, std::string_view component, std::string_view text) {
  auto& s = sinks();
  const std::lock_guard lock(s.mutex);
  const auto spd_level = to_spdlog(level);
  if (spd_level < s.lowest) return;
  const spdlog::string_view_t name(component.data(), component.size());
  const spdlog::details::log_msg message(name, spd_level, spdlog::string_view_t(text.data(), text.size()));
  s.console->log(message);
  if (!s.file) return;
  // A full disk must not end what a message is about, which may be a destructor's: told once, tried again each time.
  try {
    s.file->log(message);
    s.file->flush();
    s.file_fails = false;
  } catch (const std::exception& error) {
    if (std::exchange(s.file_fails, true)) return;
    const std::string what = std::string("messages do not reach the log file: ") + error.what();
    s.console->log(spdlog::details::log_msg("log", spdlog::level::warn, what));
  }
}

void set_log_level(LogLevel lowest) {
  const std::lock_guard lock(sinks().mutex);
  sinks().lowest = to_spdlog(lowest);
}

void set_log_file(const std::string& path) {
  auto& s = sinks();
  const std::lock_guard lock(s.mutex);
  s.file.reset();
  s.file_fails = false;
  if (path.empty()) return;
  try {
    s.file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
  } catch (const spdlog::spdlog_ex& error) {
    throw Error(Code::kCantCreate, std::string("cannot open the log file: ") + error.what()).at(path);
  }
  s.file->set_pattern(kPattern);
}

void set_log_colour(bool on) {
  const std::lock_guard lock(sinks().mutex);
  sinks().console->set_color_mode(on ? spdlog::color_mode::always : spdlog::color_mode::never);
}

}  // namespace fathom
