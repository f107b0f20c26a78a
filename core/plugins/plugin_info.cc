#include "core/plugins/plugin_info.h"

#include <cstdlib>
#include <set>
#include <utility>

#include "core/plugins/kind.h"
#include "core/plugins/tables.h"

namespace fathom::plugins {
namespace {

[[noreturn]] void bad(const std::string& part, const std::string& expected) {
  throw Error(Code::kBadData, "the plugin's description is malformed").at(part).expected(expected);
}

const Json& member(const Json& object, const char* key, const std::string& where) {
  if (!object.contains(key)) bad(where + key, "to be there");
  return object[key];
}
std::string text_of(const Json& object, const char* key, const std::string& where) {
  const Json& value = member(object, key, where);
  if (!value.is_string()) bad(where + key, "text");
  return value.get<std::string>();
}
uint32_t number_of(const Json& value, const std::string& where) {
  if (!value.is_number_unsigned()) bad(where, "a number");
  return value.get<uint32_t>();
}

ProvidedComponent parse_component(const Json& json, const std::string& where) {
  if (!json.is_object()) bad(where, "an object");
  ProvidedComponent out;
  const std::string kind = text_of(json, "kind", where + ".");
  const auto known = parse_kind(kind);
  if (!known) bad(where + ".kind", "a kind this program knows, not '" + kind + "'");
  out.kind = *known;
  out.name = text_of(json, "name", where + ".");
  if (out.name.empty()) bad(where + ".name", "a name");
  const Json& aliases = member(json, "aliases", where + ".");
  if (!aliases.is_array()) bad(where + ".aliases", "a list");
  for (const auto& alias : aliases) {
    if (!alias.is_string() || alias.get_ref<const std::string&>().empty()) bad(where + ".aliases", "names");
    out.aliases.push_back(alias.get<std::string>());
  }
  out.doc = text_of(json, "doc", where + ".");
  out.schema = member(json, "schema", where + ".");
  if (!out.schema.is_object()) bad(where + ".schema", "an object");
  return out;
}

// major.minor of "2.11.0+cpu".
std::optional<std::pair<unsigned long, unsigned long>> major_minor(const std::string& version) {
  char* end = nullptr;
  const unsigned long major = std::strtoul(version.c_str(), &end, 10);
  if (end == version.c_str() || *end != '.') return std::nullopt;
  const char* rest = end + 1;
  const unsigned long minor = std::strtoul(rest, &end, 10);
  if (end == rest) return std::nullopt;
  return std::pair{major, minor};
}

}  // namespace

std::string_view torch_use_name(uint32_t torch_use) {
  switch (torch_use) {
    case FATHOM_TORCH_NONE: return "none";
    case FATHOM_TORCH_STABLE: return "stable";
    case FATHOM_TORCH_CXX: return "cxx";
    default: return {};
  }
}

PluginInfo parse_plugin_info(std::string_view text) {
  Json json;
  try {
    json = parse_text(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::kBadData, "the plugin's description is not JSON").seen(error.what());
  }
  if (!json.is_object()) bad("the description", "an object");
  PluginInfo out;
  out.name = text_of(json, "name", "");
  if (out.name.empty()) bad("name", "a name");
  out.version = text_of(json, "version", "");
  out.licence = text_of(json, "licence", "");
  out.vendor = text_of(json, "vendor", "");
  out.url = text_of(json, "url", "");
  const Json& abi = member(json, "abi", "");
  if (!abi.is_array() || abi.size() != 2) bad("abi", "[major, minor]");
  out.abi_major = number_of(abi[0], "abi");
  out.abi_minor = number_of(abi[1], "abi");
  const std::string use = text_of(json, "torch_use", "");
  for (out.torch_use = FATHOM_TORCH_NONE; torch_use_name(out.torch_use) != use; ++out.torch_use) {
    if (torch_use_name(out.torch_use).empty()) bad("torch_use", "none, stable or cxx, not '" + use + "'");
  }
  out.libtorch = text_of(json, "libtorch", "");
  out.cxx_tag = text_of(json, "cxx_tag", "");
  const Json& provides = member(json, "provides", "");
  if (!provides.is_array()) bad("provides", "a list");
  for (size_t i = 0; i < provides.size(); ++i) {
    out.provides.push_back(parse_component(provides[i], "provides[" + std::to_string(i) + "]"));
  }
  out.element_types = member(json, "element_types", "");
  if (!out.element_types.is_array()) bad("element_types", "a list");
  return out;
}

Json to_json(const PluginInfo& info) {
  Json provides = Json::array();
  for (const auto& component : info.provides) {
    provides.push_back({{"kind", kind_name(component.kind)},
                        {"name", component.name},
                        {"aliases", component.aliases},
                        {"doc", component.doc},
                        {"schema", component.schema}});
  }
  return {{"name", info.name},
          {"version", info.version},
          {"licence", info.licence},
          {"vendor", info.vendor},
          {"url", info.url},
          {"abi", {info.abi_major, info.abi_minor}},
          {"torch_use", torch_use_name(info.torch_use)},
          {"libtorch", info.libtorch},
          {"cxx_tag", info.cxx_tag},
          {"provides", std::move(provides)},
          {"element_types", info.element_types}};
}

const fathom_component* checked_component(const fathom_component& given) {
  const fathom_component* component = adopt(given);
  const auto refuse = [&](const std::string& what, const std::string& expected) {
    throw Error(Code::kBadData, "a component's descriptor is unusable: " + what).expected(expected);
  };
  const std::string name = to_string(component->name);
  if (component->create == nullptr) refuse("'" + name + "' lacks create", "a function");
  for (size_t i = 0; i < component->alias_count; ++i) {
    if (component->aliases == nullptr || component->aliases[i].len == 0)
      refuse("'" + name + "' has an empty alias", "names");
  }
  const auto schema = Json::parse(to_view(component->schema), nullptr, /*allow_exceptions=*/false);
  if (!schema.is_object()) refuse("the schema of '" + name + "' is no JSON object", "{\"options\": […]}");
  return component;
}

void check_unique(const std::vector<const fathom_component*>& components) {
  std::set<std::pair<fathom_kind, std::string>> seen;
  for (const auto* component : components) {
    std::vector<std::string> names{to_string(component->name)};
    for (size_t i = 0; i < component->alias_count; ++i) names.push_back(to_string(component->aliases[i]));
    for (auto& name : names) {
      if (!seen.emplace(component->kind, name).second) {
        throw Error(Code::kBadData,
                    "the plugin registers the " + std::string(kind_name(component->kind)) + " '" + name + "' twice")
            .next("give one of them another name or remove the alias");
      }
    }
  }
}

PluginInfo describe_plugin(const fathom_plugin_entry& entry, const std::vector<const fathom_component*>& components,
                           const Json& element_types) {
  PluginInfo out;
  out.name = to_string(entry.name);
  out.version = to_string(entry.version);
  out.licence = to_string(entry.licence);
  out.vendor = to_string(entry.vendor);
  out.url = to_string(entry.url);
  out.abi_major = entry.abi_major;
  out.abi_minor = entry.abi_minor;
  out.torch_use = entry.torch_use;
  out.libtorch = to_string(entry.libtorch_version);
  out.cxx_tag = to_string(entry.cxx_tag);
  out.element_types = element_types;
  for (const auto* component : components) {
    ProvidedComponent provided;
    provided.kind = component->kind;
    provided.name = to_string(component->name);
    for (size_t i = 0; i < component->alias_count; ++i) provided.aliases.push_back(to_string(component->aliases[i]));
    provided.doc = to_string(component->doc);
    provided.schema = parse_text(to_view(component->schema));
    out.provides.push_back(std::move(provided));
  }
  return out;
}

std::optional<Refusal> incompatibility(const PluginInfo& plugin, const HostVersions& host) {
  const auto version = [](uint32_t major, uint32_t minor) {
    return std::to_string(major) + "." + std::to_string(minor);
  };
  // Before 1.0 the boundary changes with its minor number; from 1.0 on a minor number only adds.
  const bool abi_fits =
      plugin.abi_major == host.abi_major && (host.abi_major > 0 || plugin.abi_minor == host.abi_minor);
  if (!abi_fits) {
    const bool newer = std::pair(plugin.abi_major, plugin.abi_minor) > std::pair(host.abi_major, host.abi_minor);
    return Refusal{"needs plugin ABI " + version(plugin.abi_major, plugin.abi_minor) + ", but this program has " +
                       version(host.abi_major, host.abi_minor),
                   newer ? "update this program, or rebuild the plugin with its SDK"
                         : "rebuild the plugin with this program's SDK"};
  }
  if (plugin.torch_use == FATHOM_TORCH_NONE) return std::nullopt;
  if (torch_use_name(plugin.torch_use).empty()) {
    return Refusal{
        "uses libtorch in a way this program does not know (torch_use " + std::to_string(plugin.torch_use) + ")",
        "update this program"};
  }
  const auto needed = major_minor(plugin.libtorch), here = major_minor(host.libtorch);
  if (!needed)
    return Refusal{"does not say which libtorch it needs ('" + plugin.libtorch + "')",
                   "rebuild it with fathom_add_plugin()"};
  if (plugin.torch_use == FATHOM_TORCH_STABLE) {
    if (here && *needed <= *here) return std::nullopt;
    return Refusal{"needs libtorch " + plugin.libtorch + " or newer, but this program has " + host.libtorch,
                   "update this program, or rebuild the plugin for an older libtorch"};
  }
  if (!here || *needed != *here) {
    return Refusal{"uses the C++ interface of libtorch " + plugin.libtorch + ", but this program has " + host.libtorch,
                   "rebuild the plugin with this program's SDK"};
  }
  if (plugin.cxx_tag != host.cxx_tag) {
    return Refusal{
        "was built for the C++ library '" + plugin.cxx_tag + "', but this program for '" + host.cxx_tag + "'",
        "rebuild the plugin with the compiler family of this program"};
  }
  return std::nullopt;
}

}  // namespace fathom::plugins
