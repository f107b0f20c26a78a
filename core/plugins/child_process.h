// Runs a piece of code in a child process, so that a plugin that crashes or hangs costs an answer and not the program.
#pragma once

#include <functional>
#include <string>

namespace fathom::plugins {

struct ChildResult {
  bool finished = false;  // returned by itself
  std::string text;       // what it returned; or "crashed (signal 11)", "did not finish within 20 s"
};

// Forks, runs `body` there and returns its text. Only before this process has started threads. Exceptions of `body` end
// the child as a crash would. Throws Error(kIo) when no process can be made.
ChildResult run_in_child(const std::function<std::string()>& body, unsigned seconds);

}  // namespace fathom::plugins
