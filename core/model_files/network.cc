// Opens libfathom_download.so.
#include <dlfcn.h>

#include <filesystem>

#include "core/model_files/transfer.h"
#include "fathom/error.h"

namespace fathom::model_files {
namespace {

Transfer* open_network() {
  const std::string name = "libfathom_download.so";
  // Beside this library, wherever that was installed.
  Dl_info own = {};
  std::string file = name;
  if (::dladdr(reinterpret_cast<const void*>(&network), &own) != 0 && own.dli_fname != nullptr)
    file = std::filesystem::path(own.dli_fname).parent_path() / name;
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(Code::kUnavailable, "nothing can be downloaded: the library for it cannot be opened")
        .seen(::dlerror())
        .next("install libcurl 4, or download the file by other means and give its path");
  }
  using Make = Transfer* (*)();
  const auto make = reinterpret_cast<Make>(::dlsym(library, "fathom_make_transfer"));
  if (make == nullptr) throw Error(Code::kUnavailable, name + " is of another version").seen(::dlerror());
  return make();
}

}  // namespace

Transfer& network() {
  static Transfer* const instance = open_network();  // lives as long as the process
  return *instance;
}

}  // namespace fathom::model_files
