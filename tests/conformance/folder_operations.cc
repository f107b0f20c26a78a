#include "tests/conformance/folder_operations.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fathom/error.h"

namespace fathom::conformance {
namespace fs = std::filesystem;

FolderOperations::FolderOperations(std::string folder)
    : root_(std::move(folder)), descriptor_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (descriptor_ < 0) throw Error(Code::kIo, "cannot watch folders").at(root_).seen(std::strerror(errno));
  watch(root_, nullptr);
}

FolderOperations::~FolderOperations() { ::close(descriptor_); }

void FolderOperations::watch(const std::string& folder, std::vector<std::pair<std::string, std::string>>* found) {
  const int id = ::inotify_add_watch(descriptor_, folder.c_str(), IN_MOVED_TO | IN_DELETE | IN_CREATE);
  if (id < 0) throw Error(Code::kIo, "cannot watch a folder").at(folder).seen(std::strerror(errno));
  watched_[id] = folder;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory())
      watch(entry.path(), found);
    else if (found != nullptr && !entry.is_symlink())
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end(),
            [](const fs::path& a, const fs::path& b) { return fs::last_write_time(a) < fs::last_write_time(b); });
  for (const auto& file : files) found->emplace_back("save", file.lexically_relative(root_));
}

std::vector<std::pair<std::string, std::string>> FolderOperations::take() {
  std::vector<std::pair<std::string, std::string>> operations;
  alignas(inotify_event) std::array<char, 16384> buffer;
  for (ssize_t size; (size = ::read(descriptor_, buffer.data(), buffer.size())) > 0;) {
    for (const char* at = buffer.data(); at < buffer.data() + size;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event.len;
      if (event.len == 0) continue;
      const fs::path path = fs::path(watched_.at(event.wd)) / event.name;
      if ((event.mask & IN_ISDIR) != 0) {
        if ((event.mask & IN_CREATE) != 0 && fs::is_directory(path)) watch(path, &operations);
      } else if ((event.mask & IN_DELETE) != 0) {
        operations.emplace_back("remove", path.lexically_relative(root_));
      } else if ((event.mask & IN_MOVED_TO) != 0 && !fs::is_symlink(path)) {
        operations.emplace_back("save", path.lexically_relative(root_));
      }
    }
  }
  return operations;
}

std::vector<std::string> FolderOperations::listing() const {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(root_)) {
    if (!entry.is_symlink() && entry.is_directory()) continue;
    std::string name = entry.path().lexically_relative(root_);
    if (entry.is_symlink()) name += " -> " + fs::read_symlink(entry.path()).string();
    files.push_back(std::move(name));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace fathom::conformance
