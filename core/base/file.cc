#include "core/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fathom/error.h"

namespace fathom {
namespace {

[[noreturn]] void fail(Code code, const std::string& what, const std::string& path) {
  throw Error(code, what + ": " + std::strerror(errno)).at(path);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      fail(Code::kIo, "cannot write", path);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

// Collects small writes; checkpoints are written in pieces of a few bytes to many megabytes.
class BufferedWriter final : public FileWriter {
 public:
  BufferedWriter(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  void write(std::string_view bytes) override {
    if (buffer_.size() + bytes.size() > kCapacity) flush();
    if (bytes.size() >= kCapacity) {
      write_all(fd_, bytes, path_);
    } else {
      buffer_ += bytes;
    }
  }
  void flush() {
    write_all(fd_, buffer_, path_);
    buffer_.clear();
  }

 private:
  static constexpr size_t kCapacity = 1 << 16;
  int fd_;
  std::string path_;
  std::string buffer_;
};

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == EACCES) {
    throw Error(Code::kIo, std::string("cannot open: ") + std::strerror(EACCES))
        .at(path)
        .next("run as its owner, or let this user read it: chmod");
  }
  if (file.get() < 0) fail(errno == ENOENT || errno == ENOTDIR ? Code::kNoInput : Code::kIo, "cannot open", path);
  struct stat info {};
  if (::fstat(file.get(), &info) == 0 && S_ISDIR(info.st_mode)) {
    throw Error(Code::kNoInput, "a folder stands where a file was expected").at(path);
  }
  std::string bytes;
  bytes.reserve(static_cast<size_t>(info.st_size));
  char chunk[1 << 16];
  while (true) {
    const ssize_t n = ::read(file.get(), chunk, sizeof chunk);
    if (n == 0) return bytes;
    if (n < 0) {
      if (errno == EINTR) continue;
      fail(Code::kIo, "cannot read", path);
    }
    bytes.append(chunk, static_cast<size_t>(n));
  }
}

bool file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

void create_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(Code::kCantCreate, "cannot create folder: " + error.message()).at(path);
}

namespace {

// A device or a pipe (/dev/null, /dev/stdout, >(…)): it is written to, never put out of its place.
bool is_special(const std::string& path) {
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  using std::filesystem::file_type;
  return type == file_type::character || type == file_type::block || type == file_type::fifo ||
         type == file_type::socket;
}

void write_through(const std::string& path, const std::function<void(FileWriter&)>& produce) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) fail(Code::kCantCreate, "cannot open", path);
  BufferedWriter writer(file.get(), path);
  produce(writer);
  writer.flush();
}

}  // namespace

void write_file_atomically(const std::string& path, const std::function<void(FileWriter&)>& produce) {
  if (is_special(path)) return write_through(path, produce);
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  try {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file.get() < 0) fail(Code::kCantCreate, "cannot create", temporary);
    BufferedWriter writer(file.get(), temporary);
    produce(writer);
    writer.flush();
    if (::fsync(file.get()) != 0) fail(Code::kIo, "cannot flush to disk", temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(Code::kIo, "cannot rename into place", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  const auto folder = std::filesystem::path(path).parent_path();
  const Descriptor directory(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());  // not every file system can; the rename itself is done
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  write_file_atomically(path, [bytes](FileWriter& writer) { writer.write(bytes); });
}

void append_file(const std::string& path, std::string_view bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (file.get() < 0) fail(Code::kCantCreate, "cannot open for writing", path);
  write_all(file.get(), bytes, path);
}

}  // namespace fathom
