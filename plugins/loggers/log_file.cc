#include "plugins/loggers/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fathom/support.h"

namespace fathom::loggers {
namespace {

constexpr size_t kBufferLimit = 1 << 16;

[[noreturn]] void fail(Code code, const char* what, const std::string& path) {
  const int reason = errno;
  Error error(code, std::string(what) + ": " + std::strerror(reason));
  if (reason == ENOSPC || reason == EDQUOT)
    throw std::move(error).at(path).next("free space on that disk and resume the run");
  throw std::move(error).at(path);
}

// Returns how much was written; on failure errno tells why the rest was not.
size_t write_some(int fd, std::string_view bytes, bool& ok) {
  size_t done = 0;
  ok = true;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0) {
      if (errno == EINTR) continue;
      ok = false;
      break;
    }
    done += static_cast<size_t>(n);
  }
  return done;
}

}  // namespace

LogFile::~LogFile() {
  if (fd_ < 0) return;
  try {
    flush();
  } catch (const Error&) {
    // Nobody is left to tell: finalize() and save() have reported the same failure.
  }
  ::close(fd_);
}

void LogFile::open(const std::string& path, int flags) {
  close();
  fd_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_APPEND | flags, 0666);
  if (fd_ < 0) fail(Code::kCantCreate, "cannot open for writing", path);
  path_ = path;
}

void LogFile::create(const std::string& path) {
  open(path, O_CREAT | O_TRUNC);
  written_ = 0;
}

void LogFile::reopen(const std::string& path, int64_t bytes) {
  open(path, 0);
  if (::ftruncate(fd_, bytes) != 0) fail(Code::kIo, "cannot cut back", path);
  written_ = bytes;
}

void LogFile::append(std::string_view bytes) {
  const auto now = Clock::now();
  if (buffer_.empty()) oldest_ = now;
  buffer_ += bytes;
  if (buffer_.size() >= kBufferLimit || now - oldest_ >= interval_) flush();
}

void LogFile::flush() {
  if (buffer_.empty()) return;
  bool ok = true;
  const size_t done = write_some(fd_, buffer_, ok);
  written_ += static_cast<int64_t>(done);
  buffer_.erase(0, done);
  if (!ok) fail(Code::kIo, "cannot write", path_);
}

void LogFile::close() {
  if (fd_ < 0) return;
  flush();
  ::close(fd_);
  fd_ = -1;
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(Code::kCantCreate, "cannot create folder: " + error.message()).at(path);
}

std::string read_whole_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(errno == ENOENT ? Code::kNoInput : Code::kIo, "cannot open", path);
  std::string bytes;
  char chunk[1 << 16];
  ssize_t n = 0;
  while ((n = ::read(fd, chunk, sizeof chunk)) != 0) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    bytes.append(chunk, static_cast<size_t>(n));
  }
  const int reason = errno;
  ::close(fd);
  errno = reason;
  if (n < 0) fail(Code::kIo, "cannot read", path);
  return bytes;
}

std::optional<int64_t> file_size(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return info.st_size;
}

int64_t continued_at(const std::string& path, int64_t bytes, std::string_view component) {
  const int64_t there = file_size(path).value_or(0);
  if (there >= bytes) return bytes;
  const int64_t whole = there == 0 ? 0 : static_cast<int64_t>(read_whole_file(path).rfind('\n') + 1);
  log(LogLevel::kWarning, component,
      path + ": has " + std::to_string(whole) + " bytes of whole lines, and " + std::to_string(bytes) +
          " were written before; the others are lost");
  return whole;
}

void replace_file(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail(Code::kCantCreate, "cannot create", temporary);
  bool ok = true;
  write_some(fd, bytes, ok);
  ok = ok && ::fsync(fd) == 0;
  const int reason = errno;
  ::close(fd);
  if (!ok || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int why = ok ? errno : reason;
    ::unlink(temporary.c_str());
    errno = why;
    fail(Code::kIo, "cannot write", path);
  }
}

}  // namespace fathom::loggers
