// A file that grows: writes are collected and reach the disk in large pieces. And whole files written in one step.
// Not thread-safe. Errors name the path and the system's reason: kNoInput, kCantCreate or kIo.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fathom::loggers {

class LogFile {
 public:
  using Clock = std::chrono::steady_clock;
  // What is appended is written once it is `interval` old, even if nobody flushes.
  explicit LogFile(Clock::duration interval) : interval_(interval) {}
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // Starts a new, empty file (an older one of that name is replaced).
  void create(const std::string& path);
  // Goes on at the end of a file that is there, after cutting it to `bytes`.
  void reopen(const std::string& path, int64_t bytes);
  bool is_open() const { return fd_ >= 0; }
  const std::string& path() const { return path_; }

  void append(std::string_view bytes);
  void flush();
  void close();
  // Bytes of the file once flushed.
  int64_t size() const { return written_ + static_cast<int64_t>(buffer_.size()); }

 private:
  void open(const std::string& path, int flags);

  Clock::duration interval_;
  std::string path_, buffer_;
  int fd_ = -1;
  int64_t written_ = 0;
  Clock::time_point oldest_;  // when the first byte of the buffer came
};

void make_folder(const std::string& path);
std::string read_whole_file(const std::string& path);
std::optional<int64_t> file_size(const std::string& path);  // nothing when there is no such file
// Where a file of lines that had `bytes` bytes is to be continued: there, or after its last whole line where it is
// shorter now, which is a warning of `component`.
int64_t continued_at(const std::string& path, int64_t bytes, std::string_view component);
// Temporary file, fsync, rename: `path` has the old bytes or the new ones, never some of each.
void replace_file(const std::string& path, std::string_view bytes);

}  // namespace fathom::loggers
