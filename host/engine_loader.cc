#include "host/engine_loader.h"

#include <dlfcn.h>

namespace fathom::cli {

Engine& engine() {
  static Engine* instance = nullptr;  // lives as long as the process: libtorch must outlive every plugin
  if (instance != nullptr) return *instance;
  void* library = ::dlopen("libfathom_engine.so", RTLD_NOW | RTLD_LOCAL);  // found through this program's RUNPATH
  if (library == nullptr) {
    throw Error(Code::kUnavailable, "the engine cannot be opened")
        .seen(::dlerror())
        .next("run `fathom doctor`; reinstall if libtorch was moved");
  }
  using MakeEngine = Engine* (*)();
  const auto make = reinterpret_cast<MakeEngine>(::dlsym(library, "fathom_make_engine"));
  if (make == nullptr) throw Error(Code::kUnavailable, "libfathom_engine.so is of another version").seen(::dlerror());
  instance = make();
  return *instance;
}

}  // namespace fathom::cli
