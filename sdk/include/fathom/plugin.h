// What a plugin's one registration file includes:
//
//   FATHOM_PLUGIN("my_collection", "0.1.0", "Apache-2.0", "Me", "https://example.org") {
//     r.add<MeanPool>("my.MeanPool", "mean over time, then a linear layer");
//     r.add<Lion>("lion", "evolved sign momentum", {"lion_pytorch.Lion"});
//   }
//
// Include the kinds' headers you use before or after; `add` finds a class's kind by its base class. Besides, the body
// may say `r.on_shutdown(function)` and `r.extension("my.extension/1", &table)`, which the host's query finds.
// fathom_add_plugin() defines FATHOM_TORCH_USE (0 none, 1 stable, 2 cxx) and, for the latter two, the libtorch it
// builds with.
#pragma once

#include <deque>
#include <vector>

#include "fathom/abi/plugin.h"
#include "fathom/kind.h"

#ifndef FATHOM_TORCH_USE
#define FATHOM_TORCH_USE 0
#endif
#if FATHOM_TORCH_USE != 0 && !defined(FATHOM_LIBTORCH_VERSION)
#error "FATHOM_LIBTORCH_VERSION is not defined: build with fathom_add_plugin()"
#endif
#ifndef FATHOM_LIBTORCH_VERSION
#define FATHOM_LIBTORCH_VERSION ""
#endif

namespace fathom {

// The C++ side of FATHOM_TORCH_CXX: binaries may share C++ objects only when this text agrees.
constexpr const char* build_cxx_tag() {
#if defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI
  return "itanium-libstdc++-cxx11";
#elif defined(_GLIBCXX_RELEASE)
  return "itanium-libstdc++-cxx98";
#else
  return "itanium-libc++";
#endif
}
// What a plugin's descriptor says: nothing where it shares no C++ objects.
constexpr const char* cxx_tag() { return FATHOM_TORCH_USE == 2 ? build_cxx_tag() : ""; }

// Keeps what registered descriptors point to. One per plugin, never freed.
class Registry {
 public:
  explicit Registry(const fathom_registrar* registrar) : registrar_(registrar) {}

  template <typename T>
  void add(std::string name, std::string doc, std::vector<std::string> aliases = {}) {
    static_assert(
        requires { typename T::ComponentKind; },
        "add<T>: T derives publicly from no kind's base class: NeuralModule, Loss, Model, Dataset, EpochMetric, "
        "Tokenizer, Optimizer, Scheduler, Logger, Callback, Resolver, Exporter or Accelerator; include the "
        "kind's header");
    using Kind = typename T::ComponentKind;
    fathom_component c{};
    c.struct_size = sizeof(fathom_component);
    c.kind = Kind::kind;
    c.create = &Kind::template create<T>;
    c.destroy = &Kind::destroy;
    c.vtable = Kind::vtable();
    c.query = &Kind::template query<T>;
    add(c, std::move(name), std::move(doc), std::move(aliases), Kind::template schema<T>());
  }

  // Called once before the process ends, after the shutdowns of plugins that were loaded later. Must not throw.
  void on_shutdown(void (*function)()) { hooks().shutdowns.push_back(function); }
  // A table of the plugin's own by "name/revision", for those who know it. Lives until the process ends.
  void extension(std::string id, const void* table) { hooks().extensions.emplace_back(std::move(id), table); }

  // An element type of neural types: "MyEmbedding", parent "EncodedRepresentation".
  void element_type(const std::string& name, const std::string& parent, const Json& params = Json::object(),
                    const std::string& doc = "") {
    const std::string text = json_text(Json{{"name", name}, {"parent", parent}, {"params", params}, {"doc", doc}});
    check(host_function(&fathom_host::register_element_type)(to_abi(text)));
  }
  // An axis kind: "Speaker", then {"emb", {"B Speaker D", …}}. Two plugins' kinds of one name are one kind.
  void axis_kind(const std::string& name) { check(host_function(&fathom_host::register_axis_kind)(to_abi(name))); }

  // What the plugin's entry answers with.
  struct Hooks {
    std::vector<void (*)()> shutdowns;
    std::vector<std::pair<std::string, const void*>> extensions;
  };
  static Hooks& hooks() {
    static auto* all = new Hooks();
    return *all;
  }

 private:
  struct Entry {
    std::string name, doc, schema;
    std::vector<std::string> aliases;
    std::vector<fathom_str> alias_views;
    fathom_component component{};
  };
  // `functions`: the descriptor but for its texts.
  void add(const fathom_component& functions, std::string name, std::string doc, std::vector<std::string> aliases,
           const Json& schema) {
    Entry& entry = keep(std::move(name), std::move(doc), std::move(aliases), json_text(schema));
    fathom_component& c = entry.component = functions;
    c.name = to_abi(entry.name);
    c.aliases = entry.alias_views.data();
    c.alias_count = entry.alias_views.size();
    c.doc = to_abi(entry.doc);
    c.schema = to_abi(entry.schema);
    check(registrar_->add(registrar_->ctx, &c));
  }
  Entry& keep(std::string name, std::string doc, std::vector<std::string> aliases, std::string schema) {
    static auto* entries = new std::deque<Entry>();  // descriptors stay valid until the process ends
    Entry& entry = entries->emplace_back();
    entry.name = std::move(name);
    entry.doc = std::move(doc);
    entry.schema = std::move(schema);
    entry.aliases = std::move(aliases);
    for (const auto& alias : entry.aliases) entry.alias_views.push_back(to_abi(alias));
    return entry;
  }
  const fathom_registrar* registrar_;
};

namespace plugin_detail {

inline fathom_status register_all(const fathom_host* host, const fathom_registrar* given,
                                  void (*components)(Registry&)) {
  use_host(host);
  return guard([&] {
    const fathom_registrar registrar = filled(given);
    Registry registry(&registrar);
    components(registry);
  });
}
inline const void* query(fathom_str id) {
  for (const auto& [known, table] : Registry::hooks().extensions) {
    if (known == to_view(id)) return table;
  }
  return nullptr;
}
inline void shutdown() {
  for (void (*function)() : Registry::hooks().shutdowns) function();
}

}  // namespace plugin_detail

}  // namespace fathom

#define FATHOM_PLUGIN(NAME, VERSION, LICENCE, VENDOR, URL)                                               \
  static void fathom_register_components(::fathom::Registry& r);                                         \
  static fathom_status fathom_register_all(const fathom_host* host, const fathom_registrar* registrar) { \
    return ::fathom::plugin_detail::register_all(host, registrar, &fathom_register_components);          \
  }                                                                                                      \
  extern "C" __attribute__((visibility("default"))) const fathom_plugin_entry fathom_plugin_entry_v1 = { \
      FATHOM_PLUGIN_MAGIC,                                                                               \
      sizeof(fathom_plugin_entry),                                                                       \
      FATHOM_ABI_MAJOR,                                                                                  \
      FATHOM_ABI_MINOR,                                                                                  \
      {NAME, sizeof(NAME) - 1},                                                                          \
      {VERSION, sizeof(VERSION) - 1},                                                                    \
      {LICENCE, sizeof(LICENCE) - 1},                                                                    \
      {VENDOR, sizeof(VENDOR) - 1},                                                                      \
      {URL, sizeof(URL) - 1},                                                                            \
      FATHOM_TORCH_USE,                                                                                  \
      {FATHOM_LIBTORCH_VERSION, sizeof(FATHOM_LIBTORCH_VERSION) - 1},                                    \
      {::fathom::cxx_tag(), std::char_traits<char>::length(::fathom::cxx_tag())},                        \
      fathom_register_all,                                                                               \
      ::fathom::plugin_detail::query,                                                                    \
      ::fathom::plugin_detail::shutdown};                                                                \
  FATHOM_JSON_TEXT;                                                                                      \
  static void fathom_register_components([[maybe_unused]] ::fathom::Registry& r)
