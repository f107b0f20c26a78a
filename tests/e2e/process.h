// Runs a program and keeps what it wrote. Linux only.
#pragma once

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fathom::e2e {

struct Result {
  int status = -1;         // exit status; 128 + signal when it was killed
  int64_t peak_bytes = 0;  // of resident memory
  std::string out, err;
};

class Process {
 public:
  // `prepare` runs in the child before the program starts (limits, signals).
  Process(std::vector<std::string> words, const std::vector<std::string>& environment = {},
          const std::function<void()>& prepare = {}) {
    if (::pipe(out_) != 0 || ::pipe(err_) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
      ::dup2(out_[1], STDOUT_FILENO);
      ::dup2(err_[1], STDERR_FILENO);
      for (const int fd : {out_[0], out_[1], err_[0], err_[1]}) ::close(fd);
      ::setenv("OMP_NUM_THREADS", "1", 1);
      for (const auto& variable : environment) {
        const size_t equals = variable.find('=');
        ::setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
      }
      if (prepare) prepare();
      std::vector<char*> argv;
      for (auto& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(out_[1]);
    ::close(err_[1]);
    ::fcntl(err_[0], F_SETFL, O_NONBLOCK);
    ::fcntl(out_[0], F_SETFL, O_NONBLOCK);
  }

  void kill(int signal) const { ::kill(pid_, signal); }
  pid_t pid() const { return pid_; }

  // Reads until the process has ended, or until `until` says so (it is asked after each piece of output).
  bool read(const std::function<bool(const Result&)>& until = {}, double seconds = 240) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (std::chrono::steady_clock::now() < deadline) {
      pollfd fds[2] = {{out_[0], POLLIN, 0}, {err_[0], POLLIN, 0}};
      ::poll(fds, 2, 20);
      const bool more_out = drain(out_[0], result_.out), more_err = drain(err_[0], result_.err);
      if (until && until(result_)) return true;
      if (!more_out && !more_err) return false;
    }
    kill(SIGKILL);
    result_.err += "\n(test: the program did not end in time)";
    return false;
  }
  Result wait() {
    read();
    int status = 0;
    rusage usage{};
    ::wait4(pid_, &status, 0, &usage);
    result_.peak_bytes = int64_t{usage.ru_maxrss} * 1024;
    result_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    ::close(out_[0]);
    ::close(err_[0]);
    return result_;
  }

 private:
  // False at the end of the stream.
  static bool drain(int fd, std::string& into) {
    char chunk[4096];
    while (true) {
      const ssize_t n = ::read(fd, chunk, sizeof chunk);
      if (n > 0)
        into.append(chunk, static_cast<size_t>(n));
      else
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
  }
  pid_t pid_;
  int out_[2], err_[2];
  Result result_;
};

inline Result run(std::vector<std::string> words, const std::vector<std::string>& environment = {},
                  const std::function<void()>& prepare = {}) {
  return Process(std::move(words), environment, prepare).wait();
}

// For `prepare`. Files may not grow beyond so many bytes: what a full disk says to whoever writes.
inline std::function<void()> with_full_disk(rlim_t bytes) {
  return [bytes] {
    const rlimit most{bytes, bytes};
    ::setrlimit(RLIMIT_FSIZE, &most);
  };
}
// For `prepare`. What files allow counts for root too. Where this cannot be had, modes_count() says so.
inline void as_ordinary_user() {
  ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
  ::prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
}

inline std::string fathom_program() { return FATHOM_BINARY_DIR "/bin/fathom"; }
inline Result fathom(std::vector<std::string> words) {
  words.insert(words.begin(), fathom_program());
  return run(std::move(words));
}

}  // namespace fathom::e2e
