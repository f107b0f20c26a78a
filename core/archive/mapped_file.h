// A file's bytes, mapped into memory. The mapping is private: writing to it never reaches the file.
// A file that another program cuts short while it is mapped ends the process with SIGBUS; checkpoints are replaced by
// rename, which leaves a mapping untouched.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace fathom::checkpoint {

class MappedFile {
 public:
  // Error(kNoInput) when there is no such file or it is a folder, Error(kIo) when it cannot be read. What cannot be
  // mapped (a pipe) is read into memory.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  static std::shared_ptr<const MappedFile> of_bytes(std::string bytes);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return bytes_; }
  // Takes no more memory for the whole pages of `part`, which lies in bytes(): they come from the file again when they
  // are needed. What was written to them is lost. Nothing where the file is not mapped.
  void release(std::string_view part) const;

 private:
  MappedFile() = default;
  std::string owned_;
  void* mapping_ = nullptr;
  std::string_view bytes_;
};

}  // namespace fathom::checkpoint
