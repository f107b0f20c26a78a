#include "core/hydra/default_item.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/config/errors.h"
#include "core/config/printer.h"

namespace fathom::config {
namespace {

std::string strip_slash(const std::string& path) { return path.starts_with('/') ? path.substr(1) : path; }

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string join_path(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a + b;
  return a + "/" + b;
}

std::string with_dots(std::string path) {
  std::replace(path.begin(), path.end(), '/', '.');
  return path;
}

void replace_all(std::string& text, std::string_view what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

std::string type_name(const Node& node) {
  if (node.is_map()) return "DictConfig";
  if (node.is_list()) return "ListConfig";
  constexpr std::string_view kNames[] = {"NoneType", "bool", "int", "float", "str", "bytes", "enum"};
  return std::string(kNames[node.value().index()]);
}

const std::string& text_of(const Node& node) { return std::get<std::string>(node.value()); }

void split_package(std::string& key, std::optional<std::string>& package) {
  const size_t at = key.find('@');
  if (at == std::string::npos) return;
  package = key.substr(at + 1);
  if (const size_t colon = package->find(':'); colon != std::string::npos) package->resize(colon);
  key.resize(at);
  if (*package == "_here_") *package = "";
}

DefaultItem::Choice read_choice(const Node& value) {
  if (value.is_null()) return std::monostate{};
  if (value.is_string()) return text_of(value);
  if (!value.is_list()) {
    throw ConfigError("ValueError",
                      "Unsupported item value in defaults : " + type_name(value) + ". Supported: string or list")
        .with_where(value.origin().text());
  }
  std::vector<std::string> options;
  for (const Node& option : value.items()) {
    if (!option.is_string()) {
      throw ConfigError("ValueError", "Unsupported item value in defaults : " + type_name(option) +
                                          ", nested list items must be strings")
          .with_where(option.origin().text());
    }
    options.push_back(text_of(option));
  }
  return options;
}

DefaultItem read_group_item(const Node& node, const LoadedConfig& config, ConfigRepository& repository) {
  const Node* legacy_optional = node.size() > 1 ? node.find("optional") : nullptr;
  if (repository.version().at_least(2)) legacy_optional = nullptr;
  const Node::Entry* entry = nullptr;
  for (const Node::Entry& candidate : node.entries()) {
    if (&candidate.second == legacy_optional) continue;
    if (entry != nullptr) {
      throw ConfigError("ValueError", "In " + config.path + ": Too many keys in default item " + python_repr(node))
          .with_where(node.origin().text())
          .with_expected("exactly one key: 'group: option'");
    }
    entry = &candidate;
  }
  if (entry == nullptr) {
    throw ConfigError("ValueError", "In " + config.path + ": Missing group name in default item")
        .with_where(node.origin().text());
  }
  const std::string* key = std::get_if<std::string>(&entry->first.value);
  if (key == nullptr) {
    throw ConfigError("ValueError",
                      "In " + config.path + ": a config group must be a string, not " + entry->first.text())
        .with_where(node.origin().text());
  }
  DefaultItem item;
  item.kind = DefaultItem::Kind::kGroup;
  item.origin = entry->second.origin();
  std::string group = *key;
  split_package(group, item.package);
  // The keywords stand first; after an unknown word the rest but the group is passed over.
  std::vector<std::string> words = split(group, ' ');
  item.group = words.back();
  words.pop_back();
  for (const std::string& word : words) {
    if (word == "optional") {
      item.optional = true;
    } else if (word == "override") {
      item.is_override = true;
    } else {
      repository.warnings().push_back({"In '" + config.path + "': unknown keyword '" + word +
                                       "' before config group '" + item.group +
                                       "' is ignored (known: optional, override)"});
      break;
    }
  }
  if (item.group.empty()) {
    throw ConfigError("ValueError", "In " + config.path + ": Missing group name in default item '" + *key + "'")
        .with_where(node.origin().text());
  }
  if (legacy_optional != nullptr) {
    const bool* flag = legacy_optional->is_scalar() ? std::get_if<bool>(&legacy_optional->value()) : nullptr;
    item.optional = item.optional || (flag != nullptr && *flag);
    repository.warnings().push_back(
        {"In " + config.path + ": 'optional: true' is deprecated.\nUse 'optional " + *key + ": …' instead"});
  }
  item.choice = read_choice(entry->second);
  return item;
}

}  // namespace

std::optional<std::string> DefaultItem::name() const {
  if (kind == Kind::kConfig) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
  }
  const auto* option = std::get_if<std::string>(&choice);
  return option == nullptr ? std::nullopt : std::optional<std::string>(*option);
}

bool DefaultItem::is_missing() const { return name() == "???"; }

bool DefaultItem::is_interpolation() const {
  const std::string text = kind == Kind::kConfig ? path : name().value_or("");
  return text.find("${") != std::string::npos;
}

std::string DefaultItem::group_path() const {
  const bool absolute = kind == Kind::kConfig ? path.starts_with('/') : group.starts_with('/');
  const std::string own = kind == Kind::kConfig ? folder_of(strip_slash(path)) : strip_slash(group);
  return absolute ? own : join_path(parent_base_dir, own);
}

std::string DefaultItem::config_path() const {
  if (kind == Kind::kGroup) return join_path(group_path(), name().value_or(""));
  return path.starts_with('/') ? path.substr(1) : join_path(parent_base_dir, path);
}

std::string DefaultItem::default_package() const { return with_dots(group_path()); }

std::string DefaultItem::final_package(VersionBase version, bool use_header) const {
  std::string own;
  if (package) {
    own = *package;
  } else if (use_header && package_header) {
    own = *package_header;
  } else {
    own = with_dots(kind == Kind::kConfig ? folder_of(strip_slash(path)) : strip_slash(group));
  }
  if (const auto option = name(); option && !version.at_least(2)) replace_all(own, "_name_", *option);
  std::string full = parent_package;
  if (!own.empty()) full += (full.empty() ? "" : ".") + own;
  const size_t global = full.rfind("_global_");
  if (global == std::string::npos) return full;
  return full.substr(std::min(global + std::string_view("_global_.").size(), full.size()));
}

std::string DefaultItem::override_key(VersionBase version) const {
  const std::string own = final_package(version, false);
  std::string key = group_path();
  if (own != default_package()) key += "@" + (own.empty() ? std::string("_global_") : own);
  return key;
}

std::string DefaultItem::relative_override_key() const {
  return package && *package != default_package() ? group + "@" + *package : group;
}

void DefaultItem::set_parent(const std::string& base_dir, const std::string& above) {
  parent_base_dir = base_dir;
  parent_package = above;
  if (package && package->find("_group_") != std::string::npos) {
    replace_all(*package, "_group_", default_package());
    *package = "_global_." + *package;
  }
}

void DefaultItem::set_header(const std::optional<std::string>& header, ConfigRepository& repository) {
  if (!header) return;
  std::string text = *header;
  const bool legacy = !repository.version().at_least(2);
  if (legacy && (text.find("_group_") != std::string::npos || text.find("_name_") != std::string::npos)) {
    repository.warnings().push_back(
        {"In '" + config_path() + "': Usage of deprecated keyword in package header '# @package " + text + "'"});
    if (text == "_group_") return;
  }
  // A header is an absolute package.
  if (text != "_global_" && !text.starts_with("_global_.")) text = "_global_." + text;
  if (legacy) replace_all(text, "_group_", default_package());
  package_header = text;
}

std::vector<DefaultItem> read_default_items(const LoadedConfig& config, ConfigRepository& repository) {
  std::vector<DefaultItem> items;
  if (!config.defaults) return items;
  for (const Node& node : config.defaults->items()) {
    if (node.is_map()) {
      items.push_back(read_group_item(node, config, repository));
      continue;
    }
    if (!node.is_string()) {
      throw ConfigError("ValueError", "Unsupported type in defaults : " + type_name(node))
          .with_where(node.origin().text())
          .with_expected("'_self_', 'path/to/config' or 'group: option'");
    }
    DefaultItem item;
    item.path = text_of(node);
    item.origin = node.origin();
    split_package(item.path, item.package);
    if (item.is_self() && item.package) {
      throw ConfigError("ValueError", "_self_@PACKAGE is not supported").with_where(node.origin().text());
    }
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace fathom::config
