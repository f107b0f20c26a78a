// A folder that is removed with its content.
#pragma once

#include <string>
#include <string_view>

namespace fathom {

class TemporaryFolder {
 public:
  // Below the system's folder for such things. Throws Error(kCantCreate).
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  // A file in it, with the folders on the way. Returns its path.
  std::string write(std::string_view name, std::string_view text) const;

 private:
  std::string path_;
};

}  // namespace fathom
