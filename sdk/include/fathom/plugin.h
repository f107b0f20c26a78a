// What a plugin's one registration file includes:
//
//   FATHOM_PLUGIN("my_collection", "0.1.0", "Apache-2.0", "Me", "https://example.org") {
//     r.add<MeanPool>("my.MeanPool", "mean over time, then a linear layer");
//     r.add<Lion>("lion", "evolved sign momentum", {"lion_pytorch.Lion"});
//   }
//
// Include the kinds' headers you use before or after; `add` finds a class's kind by its base class.
// fathom_add_plugin() defines FATHOM_TORCH_USE (0 none, 1 stable, 2 cxx) and, for the latter two, the libtorch it
// builds with.
#pragma once

#include <deque>

#include "fathom/abi/plugin.h"
#include "fathom/options.h"

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

// Each kind specialises this for classes derived from its base: `kind`, `vtable()`, `create(args)`, `destroy(self)`,
// and `describe(Json& schema)` for what the kind adds to the description (a module its ports).
template <typename T, typename = void>
struct KindOf;

// Keeps what registered descriptors point to. One per plugin, never freed.
class Registry {
 public:
  explicit Registry(const fathom_registrar* registrar) : registrar_(registrar) {}

  template <typename T>
  void add(std::string name, std::string doc, std::vector<std::string> aliases = {}) {
    using Kind = KindOf<T>;
    Json schema = options_schema<typename OptionsOf<T>::type>();
    Kind::describe(schema);
    Entry& entry = keep(std::move(name), std::move(doc), std::move(aliases), schema.dump());
    entry.component = {sizeof(fathom_component), Kind::kind,        to_abi(entry.name),   entry.alias_views.data(),
                       entry.alias_views.size(), to_abi(entry.doc), to_abi(entry.schema), &Kind::create,
                       &Kind::destroy,           Kind::vtable()};
    check(registrar_->add(registrar_->ctx, &entry.component));
  }

  // An element type of neural types: "MyEmbedding", parent "EncodedRepresentation".
  void element_type(const std::string& name, const std::string& parent, const Json& params = Json::object(),
                    const std::string& doc = "") {
    const std::string text = Json{{"name", name}, {"parent", parent}, {"params", params}, {"doc", doc}}.dump();
    check(host().register_element_type(to_abi(text)));
  }
  // An axis kind: "Speaker", then {"emb", {"B Speaker D", …}}. Two plugins' kinds of one name are one kind.
  void axis_kind(const std::string& name) { check(host().register_axis_kind(to_abi(name))); }

 private:
  struct Entry {
    std::string name, doc, schema;
    std::vector<std::string> aliases;
    std::vector<fathom_str> alias_views;
    fathom_component component;
  };
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

// True where an error's place is the bare name of a declared option: "betas", "betas[1]".
template <typename Options>
bool names_option(const std::string& where) {
  const std::string name = where.substr(0, where.find_first_of(".["));
  const Json schema = options_schema<Options>();
  for (const auto& option : schema["options"]) {
    if (option["name"] == name) return true;
  }
  return false;
}

// Shared by the kinds: creation from options and destruction. A constructor's errors may name an option by itself.
template <typename T, typename Stored, typename Make>
fathom_status create_component(const fathom_create_args* args, void** self, Make&& make) {
  return guard([&] {
    const std::string path = to_string(args->config_path);
    const Json config = parse_json(args->config, "a component's config");
    auto options = parse_options<typename OptionsOf<T>::type>(config, path);
    try {
      *self = make(std::move(options), config, path, parse_json(args->context, "a component's context"));
    } catch (Error& error) {
      error.locate(path);
      if (!path.empty() && names_option<typename OptionsOf<T>::type>(error.where())) error.locate_within(path);
      throw;
    }
  });
}

// Calls the constructor that T has: (options), (options, context) or ().
template <typename T, typename Options>
auto construct_args(auto&& wrap, Options&& options, const Json& context) {
  using O = std::decay_t<Options>;
  if constexpr (std::is_constructible_v<T, const O&, const Json&>)
    return wrap(options, context);
  else if constexpr (std::is_constructible_v<T, const O&>)
    return wrap(options);
  else
    return wrap();
}
template <typename T, typename Options>
std::shared_ptr<T> construct_shared(Options&& options, const Json& context) {
  return construct_args<T>([](auto&&... a) { return std::make_shared<T>(a...); }, options, context);
}
template <typename T, typename Options>
T* construct_raw(Options&& options, const Json& context) {
  return construct_args<T>([](auto&&... a) { return new T(a...); }, options, context);
}

}  // namespace fathom

#define FATHOM_PLUGIN(NAME, VERSION, LICENCE, VENDOR, URL)                                               \
  static void fathom_register_components(::fathom::Registry& r);                                         \
  static fathom_status fathom_register_all(const fathom_host* host, const fathom_registrar* registrar) { \
    ::fathom::host_slot() = host;                                                                        \
    return ::fathom::guard([&] {                                                                         \
      ::fathom::Registry registry(registrar);                                                            \
      fathom_register_components(registry);                                                              \
    });                                                                                                  \
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
      nullptr,                                                                                           \
      nullptr};                                                                                          \
  static void fathom_register_components([[maybe_unused]] ::fathom::Registry& r)
