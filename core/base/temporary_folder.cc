#include "core/base/temporary_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom {
namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  constexpr const char* kNext = "set TMPDIR to a folder that is there and can be written";
  std::error_code error;
  const fs::path place = fs::temp_directory_path(error);
  if (error) {
    const char* chosen = std::getenv("TMPDIR");
    throw Error(Code::kCantCreate, "there is no folder for temporary files: " + error.message())
        .at("TMPDIR")
        .seen(chosen != nullptr ? chosen : "/tmp")
        .next(kNext);
  }
  std::string pattern = (place / "fathom.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Error(Code::kCantCreate, std::string("cannot make a temporary folder: ") + std::strerror(errno))
        .at(place.string())
        .next(kNext);
  }
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
