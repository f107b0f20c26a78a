#include "host/engine_loader.h"

#include <dlfcn.h>

#include <cstdlib>

namespace fathom::cli {
namespace {

// How libtorch's threads wait for one another, unless the user says. Several of the process's threads lead teams
// (steps, data), so libgomp counts more threads than there are cores and by itself spins for a hundred turns only, less
// than a small layer takes: every one of them then ends in a sleep and a wake-up, which doubles the time of small
// models. Twenty thousand turns are some twenty microseconds.
void choose_how_threads_wait() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  ::setenv("OMP_WAIT_POLICY", "active", 0);
  ::setenv("GOMP_SPINCOUNT", "20000", 0);
}

}  // namespace

Engine& engine() {
  static Engine* instance = nullptr;  // lives as long as the process: libtorch must outlive every plugin
  if (instance != nullptr) return *instance;
  choose_how_threads_wait();
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
