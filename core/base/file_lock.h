// A lock that one process holds on a folder, by flock(2) on a file in it: gone with the process, however that ends.
#pragma once

#include <string>

namespace fathom {

class FileLock {
 public:
  // Writes who holds it into the file. Throws Error(kFailed), naming the holder, where another process (or another lock
  // of this one) has it; kCantCreate or kIo where the file cannot be made. A file system without locks is one where
  // everybody gets it, with a warning.
  explicit FileLock(std::string path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace fathom
