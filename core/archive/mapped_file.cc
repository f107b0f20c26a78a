#include "core/archive/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom::checkpoint {

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return of_bytes(read_file(path));  // says why it cannot be opened
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) {
    ::close(fd);
    return of_bytes(read_file(path));
  }
  const auto size = static_cast<size_t>(info.st_size);
  void* mapping = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  if (mapping == MAP_FAILED) {
    throw Error(Code::kIo, std::string("cannot map the file into memory: ") + std::strerror(error)).at(path);
  }
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->mapping_ = mapping;
  file->bytes_ = {static_cast<const char*>(mapping), size};
  return file;
}

std::shared_ptr<const MappedFile> MappedFile::of_bytes(std::string bytes) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->owned_ = std::move(bytes);
  file->bytes_ = file->owned_;
  return file;
}

void MappedFile::release(std::string_view part) const {
  if (mapping_ == nullptr) return;
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (mapping_ != nullptr) ::munmap(mapping_, bytes_.size());
}

}  // namespace fathom::checkpoint
