// What happens to the files of a folder, in order, as the kernel tells it (inotify): which checkpoints appeared under
// their final names, and which went.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace fathom::conformance {

class FolderOperations {
 public:
  // The folder must be there. Throws Error(kIo) where the kernel refuses to watch it.
  explicit FolderOperations(std::string folder);
  ~FolderOperations();
  FolderOperations(const FolderOperations&) = delete;
  FolderOperations& operator=(const FolderOperations&) = delete;

  // {"save" or "remove", path within the folder} since the last call. A file is saved when it takes its name by a
  // rename; symbolic links are not told of. Of a folder made since the last call the files are told that are in it now.
  std::vector<std::pair<std::string, std::string>> take();
  // All files now, sorted; a symbolic link as "name -> target".
  std::vector<std::string> listing() const;

 private:
  void watch(const std::string& folder, std::vector<std::pair<std::string, std::string>>* found);

  std::string root_;
  int descriptor_ = -1;
  std::map<int, std::string> watched_;
};

}  // namespace fathom::conformance
