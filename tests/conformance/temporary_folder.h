// A folder that lives as long as the object, for cases that bring their files.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom::conformance {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fathom-conformance-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw Error(Code::kCantCreate, "cannot create a folder").at(pattern);
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;  // nothing can be done about a folder that cannot be removed
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  // Makes the folders on the way.
  void write(const std::string& name, std::string_view text) const {
    const std::filesystem::path file = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(file.parent_path());
    append_file(file.string(), text);
  }

 private:
  std::string path_;
};

}  // namespace fathom::conformance
