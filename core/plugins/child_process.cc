#include "core/plugins/child_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "fathom/error.h"

namespace fathom::plugins {

ChildResult run_in_child(const std::function<std::string()>& body, unsigned seconds) {
  int ends[2];
  if (::pipe(ends) != 0) throw Error(Code::kIo, std::string("cannot make a pipe: ") + std::strerror(errno));
  const pid_t child = ::fork();
  if (child < 0) {
    const int reason = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    throw Error(Code::kIo, std::string("cannot start a process: ") + std::strerror(reason));
  }
  if (child == 0) {
    ::close(ends[0]);
    ::alarm(seconds);  // its default action ends the child
    std::string text;
    try {
      text = body();
    } catch (const std::exception& error) {
      ::_exit(1);
    }
    for (size_t done = 0; done < text.size();) {
      const ssize_t wrote = ::write(ends[1], text.data() + done, text.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) ::_exit(1);
      done += static_cast<size_t>(wrote);
    }
    ::_exit(0);  // no exit handlers: they belong to the parent
  }
  ::close(ends[1]);
  ChildResult result;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(ends[0], buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    result.text.append(buffer, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    result.finished = true;
  } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
    result.text = "did not finish within " + std::to_string(seconds) + " s";
  } else if (WIFSIGNALED(status)) {
    result.text = "crashed (signal " + std::to_string(WTERMSIG(status)) + ", " + ::strsignal(WTERMSIG(status)) + ")";
  } else {
    result.text = "ended with status " + std::to_string(WEXITSTATUS(status));
  }
  return result;
}

}  // namespace fathom::plugins
