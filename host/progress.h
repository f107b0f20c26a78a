// How far a command is: one line that is written over on a terminal, else a line of the log every 10 seconds.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

namespace fathom::cli {

// Any thread may call show(); the line is wiped when the object goes.
class ProgressLine {
 public:
  explicit ProgressLine(std::string room);  // what log lines are under: "download"
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  // Whether enough time has gone by since the last line for another.
  bool due() const;
  void show(const std::string& text);

 private:
  const std::string room_;
  const bool terminal_;
  mutable std::mutex mutex_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace fathom::cli
