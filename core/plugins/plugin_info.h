// What a plugin says about itself: the JSON in its ELF section `.fathom.plugin`, written at build time from its
// registration, so that listing, validation of configs and "who provides X" never load it. Also what this program
// offers, and whether the two fit. Thread-safe: no state.
//
//   {"name", "version", "licence", "vendor", "url", "abi": [major, minor], "torch_use": "none|stable|cxx",
//    "libtorch", "cxx_tag", "provides": [{"kind", "name", "aliases", "doc", "schema"}], "element_types": [{…}]}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fathom/abi/plugin.h"
#include "fathom/support.h"

namespace fathom::plugins {

inline constexpr const char* kDescriptionSection = ".fathom.plugin";

struct ProvidedComponent {
  fathom_kind kind = 0;
  std::string name;
  std::vector<std::string> aliases;
  std::string doc;
  Json schema;  // {"options": [{name, type, default?, required?, unit?, doc, options?, extra?}], "extra"?, "inputs"?,
                // "outputs"?}
};

struct PluginInfo {
  std::string name, version, licence, vendor, url;
  uint32_t abi_major = 0, abi_minor = 0;
  uint32_t torch_use = FATHOM_TORCH_NONE;
  std::string libtorch, cxx_tag;  // empty for torch_use none
  std::vector<ProvidedComponent> provides;
  Json element_types = Json::array();
};

std::string_view torch_use_name(uint32_t torch_use);  // "none", "stable", "cxx"; empty for another number

// Throws Error(kBadData) naming the wrong part.
PluginInfo parse_plugin_info(std::string_view json);
Json to_json(const PluginInfo& info);

// The description of a loaded plugin, from its descriptor and what it registered.
PluginInfo describe_plugin(const fathom_plugin_entry& entry, const std::vector<const fathom_component*>& components,
                           const Json& element_types);
// The host's copy of a descriptor that a plugin registers (tables.h), its texts checked too. Throws Error(kBadData).
const fathom_component* checked_component(const fathom_component& given);
// One plugin must not give one name twice: two classes under it could not be told apart. Throws Error(kBadData).
void check_unique(const std::vector<const fathom_component*>& components);

// What this program was built with.
struct HostVersions {
  uint32_t abi_major, abi_minor;
  std::string libtorch, cxx_tag;
};

// Why a plugin was not taken: what it needs and what is here, and what to do.
struct Refusal {
  std::string reason;  // "needs libtorch 2.9 (C++), but this program has 2.11.0"
  std::string todo;    // "rebuild the plugin with this program's SDK"
  std::string sentence(const std::string& file) const { return file + ": " + reason + "; " + todo; }
  Error error(const std::string& file) const {
    return Error(Code::kUnavailable, "plugin refused: it " + reason).at(file).next(todo);
  }
};

// Whether a plugin with these requirements may be loaded by a program with `host`'s versions.
std::optional<Refusal> incompatibility(const PluginInfo& plugin, const HostVersions& host);

}  // namespace fathom::plugins
