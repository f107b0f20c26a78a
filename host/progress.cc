#include "host/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "core/base/log.h"

namespace fathom::cli {

ProgressLine::ProgressLine(std::string room) : room_(std::move(room)), terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

bool ProgressLine::due() const {
  const std::scoped_lock lock(mutex_);
  return std::chrono::steady_clock::now() - last_ >= std::chrono::milliseconds(terminal_ ? 200 : 10'000);
}

void ProgressLine::show(const std::string& text) {
  if (!due()) return;
  const std::scoped_lock lock(mutex_);
  last_ = std::chrono::steady_clock::now();
  if (terminal_) {
    fmt::print(stderr, "\r{}\033[K", text);
    drawn_ = true;
  } else {
    log_info(room_.c_str(), "{}", text);
  }
}

}  // namespace fathom::cli
