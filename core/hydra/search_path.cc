#include "core/hydra/search_path.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/config/errors.h"
#include "core/config/yaml_loader.h"
#include "core/hydra/builtin_configs.h"

namespace fathom::config {
namespace fs = std::filesystem;
namespace {

class FileSource : public ConfigSource {
 public:
  FileSource(std::string provider, std::string path) : ConfigSource(std::move(provider), "file", std::move(path)) {}

  bool available() const override { return is_folder(fs::path(path())); }
  bool has_config(const std::string& file) const override {
    std::error_code ignored;  // an unreadable path is an absent one
    return fs::is_regular_file(full(file), ignored);
  }
  bool has_group(const std::string& group) const override { return is_folder(full(group)); }
  std::vector<std::string> file_names(const std::string& group) const override {
    std::error_code ignored;  // a link that leads nowhere is no file
    return names(group, [&](const fs::directory_entry& entry) { return entry.is_regular_file(ignored); });
  }
  std::vector<std::string> folder_names(const std::string& group) const override {
    std::error_code ignored;
    return names(group, [&](const fs::directory_entry& entry) {
      return entry.is_directory(ignored) && !(entry.is_symlink(ignored) && leads_back(group, entry.path()));
    });
  }
  std::string read(const std::string& file) const override { return read_file(full(file).string()); }
  std::string source_name(const std::string& file) const override { return full(file).lexically_normal().string(); }

 private:
  fs::path full(const std::string& name) const { return name.empty() ? fs::path(path()) : fs::path(path()) / name; }
  static bool is_folder(const fs::path& path) {
    std::error_code ignored;
    return fs::is_directory(path, ignored);
  }
  // Whether a link in the group's folder leads to a folder on the way there, or to one that holds it: who looks through
  // all groups would never come to an end.
  bool leads_back(const std::string& group, const fs::path& link) const {
    std::error_code ignored;
    const fs::path target = fs::canonical(link, ignored);
    const auto holds = [&](const fs::path& folder) {
      const fs::path real = fs::canonical(folder, ignored);
      return std::mismatch(target.begin(), target.end(), real.begin(), real.end()).first == target.end();
    };
    fs::path folder(path());
    bool found = holds(folder);
    for (const fs::path& step : fs::path(group)) found = found || holds(folder /= step);
    return found;
  }
  template <typename Keep>
  std::vector<std::string> names(const std::string& group, Keep keep) const {
    std::vector<std::string> out;
    if (!has_group(group)) return out;
    std::error_code error;  // an unreadable folder has no names, as an unreadable file is none
    for (fs::directory_iterator entry(full(group), error), end; !error && entry != end; entry.increment(error)) {
      if (keep(*entry)) out.push_back(entry->path().filename().string());
    }
    return out;
  }
};

// Configs compiled into the program.
class BuiltinSource : public ConfigSource {
 public:
  explicit BuiltinSource(std::string provider) : ConfigSource(std::move(provider), "pkg", "hydra.conf") {}

  bool available() const override { return true; }
  bool has_config(const std::string& file) const override { return find(file) != nullptr; }
  bool has_group(const std::string& group) const override {
    return group.empty() || std::any_of(builtin_configs().begin(), builtin_configs().end(),
                                        [&](const auto& config) { return config.file.starts_with(group + "/"); });
  }
  std::vector<std::string> file_names(const std::string& group) const override { return below(group, false); }
  std::vector<std::string> folder_names(const std::string& group) const override { return below(group, true); }
  std::string read(const std::string& file) const override { return std::string(find(file)->text); }
  std::string source_name(const std::string& file) const override { return "built-in " + file; }

 private:
  static const BuiltinConfig* find(const std::string& file) {
    for (const BuiltinConfig& config : builtin_configs()) {
      if (config.file == file) return &config;
    }
    return nullptr;
  }
  static std::vector<std::string> below(const std::string& group, bool folders) {
    const std::string prefix = group.empty() ? "" : group + "/";
    std::set<std::string> names;
    for (const BuiltinConfig& config : builtin_configs()) {
      if (!config.file.starts_with(prefix)) continue;
      const std::string_view rest = config.file.substr(prefix.size());
      const size_t slash = rest.find('/');
      if ((slash != std::string_view::npos) == folders) names.emplace(rest.substr(0, slash));
    }
    return {names.begin(), names.end()};
  }
};

// Stands for typed configs in lists of sources; the configs themselves are found through find_schema.
class StructuredSource : public ConfigSource {
 public:
  explicit StructuredSource(std::string provider) : ConfigSource(std::move(provider), "structured", "") {}
  bool available() const override { return true; }
  bool has_config(const std::string&) const override { return false; }
  bool has_group(const std::string&) const override { return false; }
  std::vector<std::string> file_names(const std::string&) const override { return {}; }
  std::vector<std::string> folder_names(const std::string&) const override { return {}; }
  std::string read(const std::string&) const override { return {}; }
  std::string source_name(const std::string& file) const override { return "schema " + file; }
};

std::string type_name(const Node& node) {
  if (node.is_map()) return "mapping";
  if (node.is_list()) return "list";
  if (node.is_null()) return "NoneType";
  constexpr std::string_view kNames[] = {"NoneType", "bool", "int", "float", "str", "bytes", "enum"};
  return std::string(kNames[node.value().index()]);
}

bool has_suffix(std::string_view name, VersionBase version) {
  return name.ends_with(".yaml") || (name.ends_with(".yml") && !version.at_least(2));
}

}  // namespace

VersionBase VersionBase::parse(std::string_view text) {
  VersionBase version;
  const std::string_view minor = text.substr(0, 2) == "1." ? text.substr(2) : std::string_view();
  const auto [end, error] = std::from_chars(minor.data(), minor.data() + minor.size(), version.minor);
  const bool right = error == std::errc() && version.minor >= 1 &&
                     (end == minor.data() + minor.size() || *end == '.');  // 1.3.2 is 1.3
  if (!right) {
    throw ConfigError("HydraException", "version_base '" + std::string(text) + "' is not supported")
        .with_expected("1.1, 1.2 or 1.3");
  }
  return version;
}

std::optional<std::string> parse_package_header(std::string_view text, const std::string& source_name) {
  std::optional<std::string> package;
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    if (line.empty()) continue;
    // The header is made of "# @KEY VALUE" lines; it ends at the first other one, also at a plain comment.
    if (line[0] != '#') break;
    line = trim(line.substr(1));
    if (line.empty() || line[0] != '@') break;
    std::vector<std::string> words;
    for (std::string& word : split(line, ' ')) {
      if (!word.empty()) words.push_back(std::move(word));
    }
    if (words.empty() || words[0] != "@package") continue;
    if (words.size() != 2) {
      throw ConfigError("ValueError", words.size() < 2
                                          ? "Expected header format: KEY VALUE, got '" + std::string(line) + "'"
                                          : "Too many components in '" + std::string(line) + "'")
          .with_where(source_name + ":" + std::to_string(number))
          .with_next("write '# @package NAME', for example '# @package _global_'");
    }
    package = words[1];
  }
  return package;
}

void ConfigRepository::add(const std::string& provider, const std::string& path) {
  const size_t scheme_end = path.find("://");
  const std::string scheme = scheme_end == std::string::npos ? "file" : path.substr(0, scheme_end);
  const std::string rest = scheme_end == std::string::npos ? path : path.substr(scheme_end + 3);
  if (scheme == "file") {
    sources_.push_back(std::make_unique<FileSource>(provider, rest));
  } else if (scheme == "pkg" && rest == "hydra.conf") {
    sources_.push_back(std::make_unique<BuiltinSource>(provider));
  } else if (scheme == "structured") {
    sources_.push_back(std::make_unique<StructuredSource>(provider));
  } else if (scheme == "pkg") {
    throw ConfigError("MissingConfigException", "Config package '" + rest + "' does not exist")
        .with_expected("pkg://hydra.conf is the only package; give a folder instead");
  } else {
    throw ConfigError("ValueError", "No config source registered for schema " + scheme +
                                        ", supported types : [file, pkg, structured]");
  }
}

void ConfigRepository::add_before_schema(const std::string& provider, const std::string& path) {
  add(provider, path);
  std::rotate(sources_.end() - 2, sources_.end() - 1, sources_.end());
}

void ConfigRepository::register_schema(const std::string& file, Node instance) {
  schemas_.insert_or_assign(file, std::move(instance));
}

std::string ConfigRepository::file_name(const std::string& config_path) const {
  return has_suffix(config_path, version_) ? config_path : config_path + ".yaml";
}

const ConfigSource* ConfigRepository::find_source(const std::string& file) const {
  for (const auto& source : sources_) {
    if (source->has_config(file)) return source.get();
  }
  return nullptr;
}

const Node* ConfigRepository::find_schema(const std::string& config_path) const {
  std::string name = config_path;
  if (name.ends_with(".yaml")) name.resize(name.size() - 5);
  const auto found = schemas_.find(name);
  return found == schemas_.end() ? nullptr : &found->second;
}

std::shared_ptr<const LoadedConfig> ConfigRepository::load(const std::string& config_path) {
  if (const auto cached = cache_.find(config_path); cached != cache_.end()) return cached->second;
  const std::string file = file_name(config_path);
  const ConfigSource* source = find_source(file);
  std::shared_ptr<LoadedConfig> loaded;
  if (source != nullptr) {
    loaded = std::make_shared<LoadedConfig>();
    const std::string text = source->read(file);
    const std::string name = source->source_name(file);
    if (file.ends_with(".yml")) {
      warnings_.push_back(
          {"Support for .yml files is deprecated. Use .yaml extension for Hydra config files: " + name});
    }
    loaded->provider = source->provider();
    loaded->package_header = parse_package_header(text, name);
    std::vector<std::string> doubtful;
    LoadOptions options;
    options.warnings = &doubtful;
    loaded->content = load_yaml_text(text, name, options);
    for (std::string& warning : doubtful) warnings_.push_back({std::move(warning)});
  } else if (const Node* schema = find_schema(config_path)) {
    loaded = std::make_shared<LoadedConfig>();
    loaded->provider = "schema";
    loaded->content = *schema;
    loaded->from_schema = true;
  }
  if (loaded != nullptr) {
    loaded->path = config_path;
    if (loaded->content.is_map()) {
      if (const Node* defaults = loaded->content.find("defaults")) {
        if (!defaults->is_list()) {
          throw ConfigError("ValueError", "Invalid defaults list in '" + config_path +
                                              "', defaults must be a list (got " + type_name(*defaults) + ")")
              .with_where(defaults->origin().text());
        }
        loaded->defaults = *defaults;
        loaded->content.erase("defaults");
      }
    }
  }
  cache_[config_path] = loaded;
  return loaded;
}

bool ConfigRepository::config_exists(const std::string& config_path) const {
  return find_source(file_name(config_path)) != nullptr || find_schema(config_path) != nullptr;
}

bool ConfigRepository::group_exists(const std::string& group) const {
  return std::any_of(sources_.begin(), sources_.end(), [&](const auto& source) { return source->has_group(group); });
}

std::vector<std::string> ConfigRepository::group_options(const std::string& group) const {
  std::set<std::string> options;
  for (const auto& source : sources_) {
    for (const std::string& name : source->file_names(group)) {
      if (has_suffix(name, version_)) options.insert(name.substr(0, name.rfind('.')));
    }
  }
  return {options.begin(), options.end()};
}

std::vector<std::string> ConfigRepository::sub_groups(const std::string& group) const {
  std::set<std::string> groups;
  for (const auto& source : sources_) {
    for (std::string& name : source->folder_names(group)) groups.insert(std::move(name));
  }
  return {groups.begin(), groups.end()};
}

std::vector<std::string> ConfigRepository::all_groups(std::string_view start) const {
  std::vector<std::string> found, open = sub_groups("");
  while (!open.empty()) {
    const std::string group = std::move(open.back());
    open.pop_back();
    const bool begins_so = group.starts_with(start);
    if (!begins_so && !start.starts_with(group + "/")) continue;
    if (begins_so && !group_options(group).empty()) found.push_back(group);
    for (const std::string& name : sub_groups(group)) open.push_back(group + "/" + name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string ConfigRepository::describe() const {
  std::string text = "\nConfig search path:";
  for (const auto& source : sources_) text += "\n\t" + source->describe();
  return text;
}

}  // namespace fathom::config
