#include "core/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/log.h"
#include "fathom/error.h"

namespace fathom {
namespace {

std::string content_of(int descriptor) {
  std::array<char, 256> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size() - 1, 0);
  std::string out(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

}  // namespace

FileLock::FileLock(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    const Code code =
        errno == EACCES || errno == EROFS || errno == ENOENT || errno == ENOTDIR ? Code::kCantCreate : Code::kIo;
    throw Error(code, std::string("cannot create: ") + std::strerror(errno)).at(path_);
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      const std::string holder = content_of(descriptor_);
      ::close(descriptor_);
      throw Error(Code::kFailed, "another process is at work in this folder")
          .at(path_)
          .seen(holder.empty() ? "a process that has not said who it is" : holder)
          .next("wait for its end, or give this run a folder of its own");
    }
    log_warning("lock", "{}: cannot be locked ({}); nothing keeps a second process out", path_, std::strerror(errno));
  }
  std::array<char, 128> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string text = "process " + std::to_string(::getpid()) + " on " + host.data() + "\n";
  // Who holds it is for the message only, so a full disk is no reason to stop.
  if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, text.data(), text.size(), 0) < 0)
    log_warning("lock", "{}: cannot say who holds the lock: {}", path_, std::strerror(errno));
}

// The file stays: removing it would let a third process lock another file of the same name.
FileLock::~FileLock() { ::close(descriptor_); }

}  // namespace fathom
