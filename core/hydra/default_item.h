// One item of a defaults list and the rules for its path, package and override key.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/hydra/search_path.h"

namespace fathom::config {

struct DefaultItem {
  enum class Kind { kConfig, kGroup };
  using Choice = std::variant<std::monostate, std::string, std::vector<std::string>>;

  Kind kind = Kind::kConfig;
  std::string path;   // kConfig: "db/mysql", "/abs/path", "_self_"
  std::string group;  // kGroup: "db", "/abs/db"
  Choice choice;      // kGroup: null, an option or several
  std::optional<std::string> package;
  bool optional = false;
  bool is_override = false;
  bool external_append = false;  // from +group=option
  bool primary = false;
  bool deleted = false;
  Origin origin;

  // Set while the tree is built.
  std::string parent_base_dir, parent_package;
  std::optional<std::string> package_header;

  bool is_self() const { return kind == Kind::kConfig && path == "_self_"; }
  bool is_group() const { return kind == Kind::kGroup; }
  bool has_options() const { return std::holds_alternative<std::vector<std::string>>(choice); }
  // The option's or the file's name; null for `group: null`.
  std::optional<std::string> name() const;
  bool is_missing() const;        // "???"
  bool is_interpolation() const;  // of a single option or a path

  std::string group_path() const;
  std::string config_path() const;
  std::string default_package() const;
  std::string final_package(VersionBase version, bool use_header = true) const;
  std::string override_key(VersionBase version) const;
  std::string relative_override_key() const;

  void set_parent(const std::string& base_dir, const std::string& package);
  void set_header(const std::optional<std::string>& header, ConfigRepository& repository);
};

// Reads the `defaults` list of a loaded config. Throws ConfigError ValueError with the place of the bad item.
std::vector<DefaultItem> read_default_items(const LoadedConfig& config, ConfigRepository& repository);

}  // namespace fathom::config
