// Files: whole reads, atomic writes (temporary file in the same folder, fsync, rename, fsync of the folder).
// Every failure is an Error naming the path and the system's reason: kNoInput, kIo or kCantCreate.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fathom {

std::string read_file(const std::string& path);
bool file_exists(const std::string& path);
void create_directories(const std::string& path);

// Receives the bytes of a file that is being written.
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  virtual void write(std::string_view bytes) = 0;
};

// Calls `produce` with a writer on a temporary file beside `path`, then puts it in place of `path` in one step. When
// anything fails (a full disk, an exception of `produce`), `path` is left as it was and the temporary file removed. A
// device or a pipe is written to as it goes.
void write_file_atomically(const std::string& path, const std::function<void(FileWriter&)>& produce);
void write_file_atomically(const std::string& path, std::string_view bytes);

// Unbuffered append or truncate, for logs: one write(2) per call.
void append_file(const std::string& path, std::string_view bytes);

}  // namespace fathom
