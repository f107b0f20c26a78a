#include "core/plugins/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/base/text.h"
#include "core/plugins/kind.h"

namespace fathom::plugins {
namespace {

Json provides_json(const PluginInfo& info, bool with_docs) {
  Json out = Json::array();
  for (const auto& component : info.provides) {
    Json entry = {{"kind", kind_name(component.kind)}, {"name", component.name}, {"aliases", component.aliases}};
    if (with_docs) entry["doc"] = component.doc;
    out.push_back(std::move(entry));
  }
  return out;
}

Json plugin_json(const PluginRecord& plugin) {
  const bool readable = !plugin.info.name.empty();
  Json out;
  out["name"] = readable ? plugin.info.name : std::filesystem::path(plugin.file).stem().string();
  out["version"] = readable ? Json(plugin.info.version) : Json(nullptr);
  out["file"] = plugin.file;
  out["abi"] = readable ? Json{plugin.info.abi_major, plugin.info.abi_minor} : Json(nullptr);
  out["torch_use"] = readable ? Json(torch_use_name(plugin.info.torch_use)) : Json(nullptr);
  out["status"] = plugin.refusal.empty() ? "ok" : "refused";
  if (!plugin.refusal.empty()) out["reason"] = plugin.refusal;
  out["provides"] = provides_json(plugin.info, false);
  return out;
}

Json component_json(const ProvidedComponent& component, const PluginRecord& plugin) {
  Json out = {{"kind", kind_name(component.kind)},
              {"name", component.name},
              {"aliases", component.aliases},
              {"doc", component.doc},
              {"plugin", plugin.info.name},
              {"version", plugin.info.version},
              {"file", plugin.file},
              {"options", component.schema.value("options", Json::array())},
              {"extra", component.schema.value("extra", false)}};
  for (const char* part : {"inputs", "outputs", "state"}) {
    if (component.schema.contains(part)) out[part] = component.schema[part];
  }
  return out;
}

void options_text(std::string& out, const Json& options, const std::string& indent) {
  size_t width = 0;
  for (const auto& option : options) {
    width = std::max(width, option.value("name", "").size() + option.value("type", "").size() + 2);
  }
  width = std::min<size_t>(width, 44);
  for (const auto& option : options) {
    const std::string head = option.value("name", "") + ": " + option.value("type", "any");
    std::string tail = option.value("required", false)
                           ? "required"
                           : "= " + (option.contains("default") ? json_text(option["default"]) : "null");
    if (option.contains("unit")) tail += " " + option["unit"].get<std::string>();
    out += fmt::format("{}{:<{}}  {}", indent, head, width, tail);
    if (const std::string doc = option.value("doc", ""); !doc.empty()) out += "  # " + doc;
    out += '\n';
    if (option.contains("options") && option["options"].is_array()) options_text(out, option["options"], indent + "  ");
  }
}

void ports_text(std::string& out, const Json& component, const char* key) {
  if (!component.contains(key) || component[key].empty()) return;
  out += fmt::format("{}:\n", key);
  for (const auto& port : component[key]) {
    out += fmt::format("  {}: {}", port.value("name", ""), port_type_text(port.value("type", Json::object())));
    if (port.value("optional", false)) out += ", optional";
    if (const int depth = port.value("list_depth", 0); depth > 0)
      out += depth == 1 ? ", in a list" : fmt::format(", in {} lists", depth);
    out += '\n';
  }
}

}  // namespace

std::string port_type_text(const Json& type) {
  if (type.is_string()) return type.get<std::string>();
  std::string axes = "any shape";
  if (type.contains("axes") && type["axes"].is_array()) {
    axes.clear();
    for (const auto& axis : type["axes"]) {
      const std::string kind = axis.is_object()   ? axis.value("kind", "?")
                               : axis.is_string() ? axis.get<std::string>()
                                                  : json_text(axis);
      axes += (axes.empty() ? "" : " ") + kind;
    }
    if (axes.empty()) axes = "scalar";
  }
  std::string text =
      type.contains("elements") && type["elements"].is_string() ? type["elements"].get<std::string>() : "any type";
  if (type.contains("params") && type["params"].is_object()) {
    std::string params;
    for (const auto& [name, value] : type["params"].items()) {
      if (!value.is_null()) params += (params.empty() ? "" : ", ") + name + "=" + json_text(value);
    }
    if (!params.empty()) text += "(" + params + ")";
  }
  return "[" + axes + "] " + text;
}

Json plugins_json(const std::vector<PluginRecord>& plugins) {
  Json out = Json::array();
  for (const auto& plugin : plugins) out.push_back(plugin_json(plugin));
  return out;
}

std::string plugins_text(const std::vector<PluginRecord>& plugins, const SearchPath& path) {
  std::string out;
  for (const auto& plugin : plugins) {
    if (!plugin.refusal.empty()) continue;
    out += fmt::format("{} {}  (torch: {})  {}\n", plugin.info.name, plugin.info.version,
                       torch_use_name(plugin.info.torch_use), plugin.file);
    for (const auto& [kind, name] : kKinds) {
      std::vector<std::string> names;
      for (const auto& component : plugin.info.provides) {
        if (component.kind == kind) names.push_back(component.name);
      }
      if (!names.empty()) out += fmt::format("  {:<10} {}\n", name, join(names, ", "));
    }
  }
  if (out.empty()) out = "no usable plugin was found\n";
  const bool any_refused =
      std::any_of(plugins.begin(), plugins.end(), [](const auto& plugin) { return !plugin.refusal.empty(); });
  if (any_refused) out += "refused:\n";
  for (const auto& plugin : plugins) {
    if (!plugin.refusal.empty()) out += "  " + plugin.refusal + "\n";
  }
  out += "looked into:\n";
  for (const auto& folder : path.folders) out += fmt::format("  {}  ({})\n", folder.path, folder.origin);
  for (const auto& folder : path.refused)
    out += fmt::format("  {}  ({}) left out: {}\n", folder.path, folder.origin, folder.reason);
  if (path.folders.empty() && path.refused.empty()) out += "  no folder: give --plugin-dir or FATHOM_PLUGIN_PATH\n";
  return out;
}

Json info_json(PluginRegistry& registry, const std::string& name) {
  Json out = Json::array();
  for (const auto& plugin : registry.plugins()) {
    if (plugin.info.name == name) {
      Json entry = plugin_json(plugin);
      for (const auto& [key, value] : {std::pair{"licence", &plugin.info.licence},
                                       {"vendor", &plugin.info.vendor},
                                       {"url", &plugin.info.url},
                                       {"libtorch", &plugin.info.libtorch}}) {
        entry[key] = *value;
      }
      entry["element_types"] = plugin.info.element_types;
      entry["provides"] = provides_json(plugin.info, true);
      out.push_back(std::move(entry));
    }
    if (!plugin.refusal.empty()) continue;
    for (const auto& component : plugin.info.provides) {
      const bool alias = std::find(component.aliases.begin(), component.aliases.end(), name) != component.aliases.end();
      if (component.name == name || alias) out.push_back(component_json(component, plugin));
    }
  }
  if (out.empty()) registry.find(kAllKinds, name);  // throws, with candidates or the refused plugin
  return out;
}

std::string info_text(const Json& info) {
  std::string out;
  for (const auto& entry : info) {
    if (!out.empty()) out += '\n';
    if (!entry.contains("kind")) {
      out += fmt::format("plugin {} {}\n", entry.value("name", ""),
                         entry["version"].is_string() ? entry["version"].get<std::string>() : "");
      for (const char* key : {"status", "reason", "file", "torch_use", "libtorch", "licence", "vendor", "url"}) {
        if (entry.contains(key) && entry[key].is_string() && !entry[key].get<std::string>().empty()) {
          out += fmt::format("  {}: {}\n", key, entry[key].get<std::string>());
        }
      }
      for (const auto& component : entry["provides"]) {
        out += fmt::format("  {} {}: {}\n", component.value("kind", ""), component.value("name", ""),
                           component.value("doc", ""));
      }
      continue;
    }
    out += fmt::format("{} {}\n", entry.value("kind", ""), entry.value("name", ""));
    if (const std::string doc = entry.value("doc", ""); !doc.empty()) out += doc + "\n";
    out += fmt::format("plugin: {} {} ({})\n", entry.value("plugin", ""), entry.value("version", ""),
                       entry.value("file", ""));
    if (!entry["aliases"].empty()) {
      out += "aliases:\n";
      for (const auto& alias : entry["aliases"]) out += "  " + alias.get<std::string>() + "\n";
    }
    ports_text(out, entry, "inputs");
    ports_text(out, entry, "outputs");
    if (entry.contains("state")) out += "state: " + entry["state"].get<std::string>() + "\n";
    if (!entry["options"].empty()) {
      out += "options:\n";
      options_text(out, entry["options"], "  ");
    }
    if (entry.value("extra", false)) out += "further keys are accepted\n";
  }
  return out;
}

}  // namespace fathom::plugins
