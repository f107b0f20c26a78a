#include "core/base/temporary_folder.h"

#include <stdlib.h>

#include <filesystem>

#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom {
namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "fathom.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw Error(Code::kCantCreate, "cannot make a temporary folder").at(pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // a leftover in the temporary folder harms nobody
  fs::remove_all(path_, ignored);
}

std::string TemporaryFolder::write(std::string_view name, std::string_view text) const {
  const fs::path file = fs::path(path_) / name;
  create_directories(file.parent_path().string());
  write_file_atomically(file.string(), text);
  return file.string();
}

}  // namespace fathom
