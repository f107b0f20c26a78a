// A plugin inside the test program: a logger "test.Logger" (alias "nemo.TestLogger"), an optimizer "testopt", a
// resolver "double" and a module "test.Module", with counters of what was made and destroyed.
#pragma once

#include <string>
#include <vector>

#include "core/plugins/kind.h"
#include "fathom/abi/logger.h"
#include "fathom/abi/module.h"
#include "fathom/abi/optimizer.h"
#include "fathom/abi/plugin.h"
#include "fathom/abi/resolver.h"
#include "fathom/support.h"

namespace fathom::plugins::testing {

struct Made {
  std::string component, config, config_path, context;
};
inline std::vector<Made> made;
inline int destroyed = 0;
inline std::vector<std::string> shut_down;

// Tables whose mandatory functions are there, and are never called.
inline const void* unused_table(fathom_kind kind) {
  static const auto fail = [](auto...) { return fathom_status{FATHOM_INTERNAL}; };
  static const fathom_logger_v1 logger = {sizeof(logger), fail,    nullptr, nullptr, nullptr,
                                          nullptr,        nullptr, nullptr, nullptr};
  static const fathom_optimizer_v1 optimizer = {
      sizeof(optimizer), fail, fail, fail, fail, fail, fail, fail, fail, fail};
  static const fathom_module_v1 module = {sizeof(module), fail, fail, [](void*) -> void* { return nullptr; }, nullptr};
  return kind == FATHOM_KIND_LOGGER      ? static_cast<const void*>(&logger)
         : kind == FATHOM_KIND_OPTIMIZER ? static_cast<const void*>(&optimizer)
                                         : &module;
}

// One component with its texts; lives until the process ends.
inline const fathom_component* component(fathom_kind kind, const char* name, const char* alias, const char* schema,
                                         fathom_status (*create)(const fathom_create_args*, void**),
                                         const void* vtable = nullptr) {
  auto* aliases = new fathom_str{to_abi(std::string_view(alias))};
  return new fathom_component{sizeof(fathom_component),
                              kind,
                              to_abi(std::string_view(name)),
                              aliases,
                              *alias == '\0' ? size_t{0} : size_t{1},
                              to_abi("for tests"),
                              to_abi(std::string_view(schema)),
                              create,
                              [](void* self) {
                                ++destroyed;
                                delete static_cast<int*>(self);
                              },
                              vtable != nullptr ? vtable : unused_table(kind),
                              nullptr};
}

inline fathom_status record(const char* name, const fathom_create_args* args, void** self) {
  made.push_back({name, to_string(args->config), to_string(args->config_path), to_string(args->context)});
  *self = new int(0);
  return FATHOM_OK;
}

inline constexpr const char* kOptionsSchema = R"({"options": [
  {"name": "features", "type": "int", "doc": "mel bands", "default": 64},
  {"name": "rate", "type": "float", "doc": "", "default": 0.5, "unit": "s"},
  {"name": "betas", "type": "list[float]", "doc": "", "default": [0.9, 0.999]},
  {"name": "note", "type": "optional[str]", "doc": "", "default": null},
  {"name": "weights", "type": "dict[str, float]", "doc": "", "default": {}},
  {"name": "inner", "type": "object", "doc": "", "default": {}, "options": [{"name": "deep", "type": "bool", "doc": "", "required": true}]},
  {"name": "blocks", "type": "list[object]", "doc": "", "default": [], "options": [{"name": "n", "type": "int", "doc": "", "default": 1}]},
  {"name": "free", "type": "any", "doc": "", "default": null}]})";

inline const fathom_plugin_entry* test_entry() {
  static const fathom_resolver_v1 doubled = {sizeof(fathom_resolver_v1),
                                             [](void*, fathom_str arguments, const fathom_text_sink* out) {
                                               return guard([&] {
                                                 const Json words = parse_json(arguments, "arguments");
                                                 write(out, json_text(Json(words.at(0).get<int64_t>() * 2)));
                                               });
                                             }};
  static const fathom_plugin_entry entry = {
      FATHOM_PLUGIN_MAGIC,
      sizeof(fathom_plugin_entry),
      FATHOM_ABI_MAJOR,
      FATHOM_ABI_MINOR,
      to_abi("testing"),
      to_abi("1.0"),
      to_abi("Apache-2.0"),
      to_abi("nobody"),
      to_abi(""),
      FATHOM_TORCH_NONE,
      to_abi(""),
      to_abi(""),
      [](const fathom_host*, const fathom_registrar* registrar) {
        return guard([&] {
          const auto add = [&](const fathom_component* c) { check(registrar->add(registrar->ctx, c)); };
          add(component(FATHOM_KIND_LOGGER, "test.Logger", "nemo.TestLogger", R"({"options": []})",
                        [](const fathom_create_args* a, void** self) { return record("test.Logger", a, self); }));
          add(component(FATHOM_KIND_OPTIMIZER, "testopt", "torch.optim.TestOpt", kOptionsSchema,
                        [](const fathom_create_args* a, void** self) { return record("testopt", a, self); }));
          add(component(
              FATHOM_KIND_RESOLVER, "double", "", R"({"options": []})",
              [](const fathom_create_args* a, void** self) { return record("double", a, self); }, &doubled));
          add(component(FATHOM_KIND_MODULE, "test.Module", "nemo.collections.test.Module", kOptionsSchema,
                        [](const fathom_create_args* a, void** self) { return record("test.Module", a, self); }));
          add(component(FATHOM_KIND_MODULE, "test.Failing", "", R"({"options": [], "extra": true})",
                        [](const fathom_create_args*, void**) {
                          return report(Error(Code::kBadData, "it cannot be").seen("this").candidates("that"));
                        }));
        });
      },
      nullptr,
      [] { shut_down.push_back("testing"); }};
  return &entry;
}

}  // namespace fathom::plugins::testing
