// A Python program that answers each line it is sent with one line, so that a peer written in Python can be measured in
// turn with ours. POSIX.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace fathom::bench {

class PythonPeer {
 public:
  // Runs FATHOM_PYTHON (default python3) with the script; `answers()` is false where it cannot run.
  explicit PythonPeer(const std::string& script) {
    const char* chosen = std::getenv("FATHOM_PYTHON");
    python_ = chosen != nullptr && *chosen != '\0' ? chosen : "python3";
    int to[2], from[2];
    if (::pipe(to) != 0 || ::pipe(from) != 0) return;
    std::signal(SIGPIPE, SIG_IGN);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      if (std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(127);
      for (const int fd : {to[0], to[1], from[0], from[1]}) ::close(fd);
      ::execlp(python_.c_str(), python_.c_str(), script.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = ::fdopen(to[1], "w");
    from_ = ::fdopen(from[0], "r");
    greeting_ = line();
  }
  PythonPeer(const PythonPeer&) = delete;
  PythonPeer& operator=(const PythonPeer&) = delete;
  ~PythonPeer() {
    if (to_ != nullptr) std::fclose(to_);  // the script ends with its input
    if (from_ != nullptr) std::fclose(from_);
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }

  bool answers() const { return !greeting_.empty(); }
  const std::string& python() const { return python_; }
  // The line the script wrote at its start.
  const std::string& greeting() const { return greeting_; }
  std::string ask(const std::string& question) {
    std::fprintf(to_, "%s\n", question.c_str());
    std::fflush(to_);
    std::string answer = line();
    if (answer.empty()) throw std::runtime_error(python_ + " gave no answer to " + question);
    return answer;
  }

 private:
  std::string line() {
    std::string out;
    for (int c = std::fgetc(from_); c != EOF && c != '\n'; c = std::fgetc(from_)) out += static_cast<char>(c);
    return out;
  }

  std::string python_, greeting_;
  pid_t child_ = -1;
  FILE *to_ = nullptr, *from_ = nullptr;
};

}  // namespace fathom::bench
