// One plugin that can be wrong in many ways; the build defines which (ODD_…). See CMakeLists.txt.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "fathom/abi/logger.h"
#include "fathom/abi/plugin.h"
#include "fathom/support.h"

#ifndef ODD_NAME
#define ODD_NAME "odd"
#endif
#ifndef ODD_MAGIC
#define ODD_MAGIC FATHOM_PLUGIN_MAGIC
#endif
#ifndef ODD_MAJOR
#define ODD_MAJOR FATHOM_ABI_MAJOR
#endif
#ifndef ODD_TORCH_USE
#define ODD_TORCH_USE 0
#endif
#ifndef ODD_LIBTORCH
#define ODD_LIBTORCH ""
#endif
#ifndef ODD_TAG
#define ODD_TAG ""
#endif
#ifndef ODD_COMPONENT
#define ODD_COMPONENT "odd.Logger"
#endif
#ifndef ODD_STRUCT_SIZE
#define ODD_STRUCT_SIZE sizeof(fathom_plugin_entry)
#endif

namespace {

using fathom::to_abi;

#ifdef ODD_UNDEFINED
}  // namespace
namespace odd {
int defined_nowhere(const char* text);  // the plugin is linked without --no-undefined
}
namespace {
const int from_nowhere = odd::defined_nowhere("x");
#endif

fathom_status create(const fathom_create_args*, void** self) {
#ifdef ODD_CRASHES
  std::raise(SIGSEGV);
#endif
  *self = new int(1);
  return FATHOM_OK;
}
void destroy(void* self) { delete static_cast<int*>(self); }

fathom_status register_all([[maybe_unused]] const fathom_host* host,
                           [[maybe_unused]] const fathom_registrar* registrar) {
  static const fathom_logger_v1 vtable = {
      sizeof(fathom_logger_v1),
      [](void*, const fathom_metric_values*, int64_t) { return fathom_status{FATHOM_OK}; },
      nullptr,
      nullptr,
      nullptr,
      nullptr};
  [[maybe_unused]] static const fathom_component component = {sizeof(fathom_component),
                                                              FATHOM_KIND_LOGGER,
                                                              to_abi(ODD_COMPONENT),
                                                              nullptr,
                                                              0,
                                                              to_abi("odd"),
                                                              to_abi(R"({"options": []})"),
                                                              &create,
                                                              &destroy,
                                                              &vtable,
                                                              nullptr};
#if defined(ODD_THROWS)
  throw std::runtime_error("no licence found");
#elif defined(ODD_THROWS_INT)
  throw 42;
#elif defined(ODD_FAILS)
  const fathom_error error = {
      sizeof(fathom_error), FATHOM_UNAVAILABLE, to_abi("the dongle is missing"), {}, {}, {}, {}, {}};
  host->set_error(&error);
  return FATHOM_UNAVAILABLE;
#elif defined(ODD_REGISTERS_NOTHING)
  return FATHOM_OK;
#elif defined(ODD_BAD_COMPONENT)
  static fathom_component bad = component;
  bad.create = nullptr;
  return registrar->add(registrar->ctx, &bad);
#else
  return registrar->add(registrar->ctx, &component);
#endif
}

[[maybe_unused]] void shutdown() {
  if (const char* file = std::getenv("FATHOM_TEST_SHUTDOWN_LOG")) {
    if (FILE* log = std::fopen(file, "a")) {
      std::fputs(ODD_NAME "\n", log);
      std::fclose(log);
    }
  }
}

}  // namespace

#ifdef ODD_SURPLUS
extern "C" __attribute__((visibility("default"))) int odd_surplus() { return 1; }
#endif

#ifndef ODD_NO_ENTRY
extern "C" __attribute__((visibility("default")))
const fathom_plugin_entry fathom_plugin_entry_v1 = {ODD_MAGIC,
                                                    ODD_STRUCT_SIZE,
                                                    ODD_MAJOR,
                                                    FATHOM_ABI_MINOR,
                                                    {ODD_NAME, sizeof(ODD_NAME) - 1},
                                                    {"1.0", 3},
                                                    {"Apache-2.0", 10},
                                                    {"nobody", 6},
                                                    {"", 0},
                                                    ODD_TORCH_USE,
                                                    {ODD_LIBTORCH, sizeof(ODD_LIBTORCH) - 1},
                                                    {ODD_TAG, sizeof(ODD_TAG) - 1},
                                                    &register_all,
                                                    nullptr,
                                                    &shutdown};
#else
extern "C" __attribute__((visibility("default"))) fathom_status (*const fathom_something_else)(
    const fathom_host*, const fathom_registrar*) = &register_all;
#endif
