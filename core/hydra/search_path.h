// Where configs are found: the sources of the search path in order, the first that has a file wins.
//
//   hydra         pkg://hydra.conf   the built-in groups hydra/launcher, hydra/job_logging …
//   main          file://DIR         the application's config folder
//   command-line  file://DIR         --config-dir
//   hydra.searchpath in main | in command-line
//   schema        structured://      typed configs registered by the program
//
// A config is `group/name` without suffix; a group is a folder. Not thread-safe: one repository per composition.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.h"

namespace fathom::config {

// Hydra's version_base: which release's behaviour is wanted. NeMo's runner gives 1.1.
struct VersionBase {
  int minor = 1;  // of 1.x
  bool at_least(int wanted) const { return minor >= wanted; }
  std::string text() const { return "1." + std::to_string(minor); }
  // "1.1", "1.2", "1.3" and later 1.x. Throws ConfigError for anything else.
  static VersionBase parse(std::string_view text);
};

struct Warning {
  std::string text;
};

// One config file as loaded: its own content without the `defaults` key, and that list apart.
struct LoadedConfig {
  std::string path;      // as asked: "db/mysql"
  std::string provider;  // of the source it came from
  Node content;          // a map, or a list for a file that holds one
  std::optional<Node> defaults;
  std::optional<std::string> package_header;  // "# @package NAME"
  bool from_schema = false;
};

class ConfigSource {
 public:
  ConfigSource(std::string provider, std::string scheme, std::string path)
      : provider_(std::move(provider)), scheme_(std::move(scheme)), path_(std::move(path)) {}
  virtual ~ConfigSource() = default;

  const std::string& provider() const { return provider_; }
  const std::string& scheme() const { return scheme_; }
  const std::string& path() const { return path_; }
  std::string describe() const { return "provider=" + provider_ + ", path=" + scheme_ + "://" + path_; }

  virtual bool available() const = 0;
  virtual bool has_config(const std::string& file) const = 0;  // with its suffix
  virtual bool has_group(const std::string& group) const = 0;
  virtual std::vector<std::string> file_names(const std::string& group) const = 0;    // with suffixes
  virtual std::vector<std::string> folder_names(const std::string& group) const = 0;  // sub-groups
  // Text and the name errors call it by; only after has_config.
  virtual std::string read(const std::string& file) const = 0;
  virtual std::string source_name(const std::string& file) const = 0;

 private:
  std::string provider_, scheme_, path_;
};

class ConfigRepository {
 public:
  explicit ConfigRepository(VersionBase version) : version_(version) {}

  // `path` may carry a scheme: file:// (default), pkg://, structured://. Throws ConfigError for an unknown scheme.
  void add(const std::string& provider, const std::string& path);
  // The same, before the last source, which is the schemas'.
  void add_before_schema(const std::string& provider, const std::string& path);
  // A typed config known by name, like a dataclass in Hydra's ConfigStore; `file` without suffix.
  void register_schema(const std::string& file, Node instance);

  // Null when no source has it. Throws ConfigError with file:line:column for bad YAML, header or defaults.
  std::shared_ptr<const LoadedConfig> load(const std::string& config_path);
  const Node* find_schema(const std::string& config_path) const;
  bool config_exists(const std::string& config_path) const;
  bool group_exists(const std::string& group) const;
  std::vector<std::string> group_options(const std::string& group) const;  // sorted, without suffix
  std::vector<std::string> sub_groups(const std::string& group) const;     // sorted
  // Those with options, sorted; with `start`, only those that begin so. Links that lead back are not followed.
  std::vector<std::string> all_groups(std::string_view start = {}) const;

  const std::vector<std::unique_ptr<ConfigSource>>& sources() const { return sources_; }
  // "\nConfig search path:\n\tprovider=…" for messages.
  std::string describe() const;

  VersionBase version() const { return version_; }
  std::vector<Warning>& warnings() { return warnings_; }

 private:
  std::string file_name(const std::string& config_path) const;
  const ConfigSource* find_source(const std::string& file) const;

  VersionBase version_;
  std::vector<std::unique_ptr<ConfigSource>> sources_;
  std::map<std::string, Node> schemas_;
  std::map<std::string, std::shared_ptr<const LoadedConfig>> cache_;
  std::vector<Warning> warnings_;
};

// The value of the leading "# @package NAME" line, if any. Throws ConfigError when it has no or several names.
std::optional<std::string> parse_package_header(std::string_view text, const std::string& source_name);

}  // namespace fathom::config
