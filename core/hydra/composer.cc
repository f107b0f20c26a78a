#include "core/hydra/composer.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/merge.h"
#include "core/config/printer.h"
#include "core/hydra/builtin_configs.h"
#include "core/hydra/override_apply.h"
#include "core/hydra/override_parser.h"

namespace fathom::config {
namespace {

Node text_node(std::string text) { return Node::scalar(std::move(text)); }

[[noreturn]] void fail(const std::string& message) { throw ConfigError("ConfigCompositionException", message); }

// Folders beside where `path` should be, with names close to its own.
std::vector<std::string> nearest_folders(const std::string& path) {
  namespace fs = std::filesystem;
  fs::path wanted = fs::path(path).lexically_normal();
  if (!wanted.has_filename()) wanted = wanted.parent_path();
  std::vector<std::string> names;
  std::error_code error;  // there is nothing to offer in what cannot be read
  for (fs::directory_iterator entry(wanted.parent_path(), error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_directory(ignored)) names.push_back(entry->path().filename());
  }
  std::sort(names.begin(), names.end());
  return nearest_names(wanted.filename().string(), names);
}

class Composer {
 public:
  explicit Composer(const ComposeRequest& request)
      : request_(request),
        resolvers_(request.resolvers != nullptr ? *request.resolvers : default_resolvers()),
        repository_(std::make_shared<ConfigRepository>(VersionBase::parse(request.version_base))) {}

  Composed compose() {
    build_search_path();
    if (request_.schema != nullptr) register_schema();
    result_.overrides = parse_overrides(request_.overrides, {.lenient = !request_.strict_overrides});
    extend_search_path();
    check_sweeps();
    result_.defaults = build_defaults_list(*repository_,
                                           {.config_name = request_.config_name,
                                            .config_name_origin = request_.config_name_origin,
                                            .skip_missing = request_.multirun},
                                           result_.overrides);
    Node root = merge_defaults();
    root.struct_flag = true;
    apply(root);
    fill_hydra(root);
    split(std::move(root));
    result_.warnings.insert(result_.warnings.begin(), repository_->warnings().begin(), repository_->warnings().end());
    result_.repository = std::move(repository_);
    return std::move(result_);
  }

 private:
  void build_search_path() {
    repository_->add("hydra", "pkg://hydra.conf");
    if (request_.config_path) {
      repository_->add("main", *request_.config_path);
      const ConfigSource& main = *repository_->sources().back();
      if (!main.available()) {
        throw ConfigError("MissingConfigException",
                          "Primary config directory not found.\nCheck that the config directory '" + main.path() +
                              "' exists and readable")
            .with_candidates(nearest_folders(main.path()));
      }
    }
    if (request_.config_dir) {
      repository_->add("command-line", *request_.config_dir);
      if (!repository_->sources().back()->available()) {
        throw ConfigError(
            "HydraException",
            "Additional config directory '" + std::filesystem::absolute(*request_.config_dir).string() + "' not found");
      }
    }
    repository_->add("schema", "structured://");
  }

  void register_schema() {
    const std::string name = request_.config_name.value_or("config");
    if (name.find('/') != std::string::npos) {
      throw ConfigError("ValueError", "a config name with '/' cannot have a schema: '" + name + "'")
          .with_next("put the folder into --config-path");
    }
    repository_->register_schema(name, instantiate(request_.schema));
  }

  // hydra.searchpath of the primary config, or of the command line, follows the folders known so far.
  void extend_search_path() {
    std::string provider = "hydra.searchpath in main";
    std::optional<Node> paths;
    if (request_.config_name) {
      const auto primary = repository_->load(*request_.config_name);
      if (primary != nullptr) {
        if (!primary->content.is_map()) {
          fail("primary config '" + *request_.config_name + "' must be a DictConfig, got ListConfig");
        }
        Node found;
        if (select(primary->content, "hydra.searchpath", &found, resolvers_) && !found.is_null()) paths = found;
      }
    }
    for (const Override& override : result_.overrides) {
      if (override.type != OverrideType::kChange || override.key_element() != "hydra.searchpath") continue;
      if (!override.value.is_null()) {
        if (override.is_sweep()) fail("hydra.searchpath must be a list of strings. Got a sweep: " + override.word);
        paths = to_node(override.value, command_line_origin(override.word));
        provider = "hydra.searchpath in command-line";
      }
      break;
    }
    if (!paths) return;
    const bool strings = paths->is_list() && std::all_of(paths->items().begin(), paths->items().end(),
                                                         [](const Node& path) { return path.is_string(); });
    if (!strings) {
      throw ConfigError("ConfigCompositionException",
                        "hydra.searchpath must be a list of strings. Got: " + python_str(*paths))
          .with_where(paths->origin().text());
    }
    for (const Node& path : paths->items()) {
      repository_->add_before_schema(provider, std::get<std::string>(path.value()));
    }
    for (const auto& source : repository_->sources()) {
      if (source->available()) continue;
      result_.warnings.push_back(
          {"provider=" + source->provider() + ", path=" + source->path() + " is not available."});
    }
  }

  void check_sweeps() const {
    for (const Override& override : result_.overrides) {
      if (!override.is_sweep()) continue;
      if (request_.multirun) {
        if (override.is_hydra()) fail("Sweeping over Hydra's configuration is not supported : '" + override.word + "'");
      } else if (override.value_type == ValueType::kSimpleChoiceSweep) {
        fail("Ambiguous value for argument '" + override.word +
             "'\n1. To use it as a list, use key=[value1,value2]\n2. To use it as string, quote the value: "
             "key=\\'value1,value2\\'\n3. To sweep over it, add --multirun to your command line");
      } else {
        fail("Sweep parameters '" + override.word + "' requires --multirun");
      }
    }
  }

  Node merge_defaults() {
    Node root = Node::map();
    for (const ResultDefault& d : result_.defaults.defaults) {
      if (d.config_path == "hydra/config") {
        merge_hydra_conf(root);
        continue;
      }
      const auto loaded = repository_->load(d.config_path);
      if (loaded == nullptr) fail("config '" + d.config_path + "' disappeared while composing");
      const Node* schema = schema_of(*loaded, d);
      if (schema != nullptr && d.package.empty()) {
        merge_with_schema(root, *schema, *loaded, d);
        continue;
      }
      Node content = schema == nullptr ? loaded->content : merge(*schema, loaded->content, resolvers_);
      content = embed(std::move(content), d.package);
      if (!d.primary) check_no_search_path(content, d);
      try {
        merge_into(root, content, resolvers_);
      } catch (const ConfigError& error) {
        ConfigError wrapped("ConfigCompositionException", "In '" + d.config_path + "': " + error.kind() +
                                                              " raised while composing config:\n" + error.message());
        throw std::move(wrapped)
            .with_cause(error.kind())
            .with_where(error.where())
            .with_candidates(error.candidates().empty() ? std::vector<std::string>{}
                                                        : std::vector<std::string>{error.candidates()});
      }
    }
    return root;
  }

  // Up to 1.1 a registered schema of the same name checks a file.
  const Node* schema_of(const LoadedConfig& loaded, const ResultDefault& d) const {
    if (!loaded.content.is_map()) return nullptr;
    return repository_->find_schema(d.config_path);
  }

  // `content` merged into a fresh object of the schema, on top of what the root has so far. The hydra section is no
  // part of the schema and goes beside it.
  void merge_with_schema(Node& root, const Node& schema, const LoadedConfig& loaded, const ResultDefault& d) const {
    Node before = root, content = loaded.content;
    Node hydra = Node::map();
    for (Node* part : {&before, &content}) {
      if (const Node* section = part->find("hydra"); section != nullptr && (part == &before || d.primary)) {
        if (part == &before) {
          hydra = *section;
        } else {
          merge_into(hydra, *section, resolvers_);
        }
        part->erase("hydra");
      }
    }
    Node typed = schema;
    try {
      merge_into(typed, before, resolvers_);
      merge_into(typed, content, resolvers_);
    } catch (const ConfigError& error) {
      throw ConfigError("ConfigCompositionException",
                        "Error merging '" + d.config_path + "' with schema\n" + error.message())
          .with_cause(error.kind())
          .with_where(error.where());
    }
    typed.set("hydra", std::move(hydra));
    root = std::move(typed);
  }

  static Node embed(Node content, const std::string& package) {
    if (package.empty()) return content;
    const std::vector<std::string> keys = split_path(package);
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
      Node outer = Node::map(content.origin());
      outer.set(*key, std::move(content));
      content = std::move(outer);
    }
    return content;
  }

  void check_no_search_path(const Node& content, const ResultDefault& d) const {
    if (!content.is_map()) return;
    const Node* path = find_path(content, "hydra.searchpath");
    if (path == nullptr || path->is_null()) return;
    throw ConfigError(
        "ConfigCompositionException",
        "In '" + d.config_path + "': Overriding hydra.searchpath is only supported from the primary config")
        .with_where(path->origin().text());
  }

  // The section becomes typed: what the groups below hydra/ have set so far, in their order, then HydraConf's own.
  void merge_hydra_conf(Node& root) {
    Node typed = hydra_conf_instance();
    const Node* current = root.find("hydra");
    if (current != nullptr) {
      merge_into(typed, *current, resolvers_);
      std::vector<Node::Entry>& entries = typed.mutable_entries();
      auto rank = [&](const Node::Entry& entry) {
        const auto& known = current->entries();
        const auto found =
            std::find_if(known.begin(), known.end(), [&](const auto& e) { return e.first == entry.first; });
        return found - known.begin();  // those not set come last, in the class's order
      };
      std::stable_sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    }
    root.set("hydra", std::move(typed));
  }

  void apply(Node& root) {
    const ApplyOptions options{.strict = request_.strict_overrides,
                               .program_keys = request_.program_keys,
                               .resolvers = &resolvers_,
                               .warnings = &result_.warnings};
    for (const Override& override : result_.defaults.config_overrides) {
      if (!request_.strict_overrides) warn_about_group(override);
      apply_override(root, override, options);
    }
  }

  // `app.db=mysql` sets a string even where app/db is a group with an option mysql.
  void warn_about_group(const Override& override) {
    const std::string* option = override.value.text();
    if (option == nullptr || override.key.find('.') == std::string::npos) return;
    std::string group = override.key;
    std::replace(group.begin(), group.end(), '.', '/');
    const std::vector<std::string> options = repository_->group_options(group);
    if (std::find(options.begin(), options.end(), *option) == options.end()) return;
    result_.warnings.push_back({"'" + override.word +
                                "' sets a value; to choose the option of the config group, write '" + group + "=" +
                                *option + "'"});
  }

  void fill_hydra(Node& root) {
    Node& hydra = *root.find("hydra");
    auto at = [&](const char* path) -> Node& {
      Node* node = find_path(hydra, path);
      if (node == nullptr) fail(std::string("hydra.") + path + " was removed");
      return *node;
    };
    for (const Override& override : result_.overrides) {
      auto& words = override.is_hydra() ? result_.hydra_overrides : result_.task_overrides;
      words.push_back(override.word);
      at(override.is_hydra() ? "overrides.hydra" : "overrides.task").append(text_node(override.word));
    }
    Node& choices = at("runtime.choices");
    for (const auto& [key, option] : result_.defaults.choices) choices.set(key, option ? text_node(*option) : Node());
    copy_environment(at("job.env_copy"), at("job.env_set"));
    at("runtime.version") = text_node(std::string(kHydraVersion));
    at("runtime.version_base") = text_node(repository_->version().text());
    at("runtime.cwd") = text_node(std::filesystem::current_path().string());
    Node sources = Node::list();
    for (const auto& source : repository_->sources()) {
      Node entry = Node::map();
      entry.set("path", text_node(source->path()));
      entry.set("schema", text_node(source->scheme()));
      entry.set("provider", text_node(source->provider()));
      sources.append(std::move(entry));
    }
    at("runtime.config_sources") = std::move(sources);
    if (at("job.name").is_missing()) at("job.name") = text_node(request_.job_name);
    at("job.override_dirname") = text_node(override_dirname(hydra));
    at("job.config_name") = request_.config_name ? text_node(*request_.config_name) : Node();
  }

  static void copy_environment(const Node& names, Node& target) {
    if (!names.is_list()) return;
    for (const Node& name : names.items()) {
      if (!name.is_string()) continue;
      const std::string& variable = std::get<std::string>(name.value());
      const char* value = std::getenv(variable.c_str());
      if (value == nullptr) {
        throw ConfigError("KeyError", "hydra.job.env_copy: environment variable '" + variable + "' is not set")
            .with_where(name.origin().text());
      }
      target.set(variable, text_node(value));
    }
  }

  // The job's words, sorted and joined: a name for folders.
  std::string override_dirname(const Node& hydra) const {
    auto setting = [&](const char* path) {
      Node value;
      const bool found = select(hydra, std::string("job.config.override_dirname.") + path, &value, resolvers_);
      return found ? value : Node();
    };
    const Node excluded = setting("exclude_keys");
    std::vector<std::string> words;
    for (const Override& override : result_.overrides) {
      if (override.is_hydra()) continue;
      const bool skip =
          excluded.is_list() && std::any_of(excluded.items().begin(), excluded.items().end(),
                                            [&](const Node& key) { return python_str(key) == override.key; });
      if (!skip) words.push_back(override.word);
    }
    std::sort(words.begin(), words.end());
    const std::string separator = python_str(setting("kv_sep"));
    std::string name;
    for (char c : join(words, python_str(setting("item_sep")))) {
      if (c == '=') {
        name += separator;
      } else {
        name += c;
      }
    }
    return name;
  }

  void split(Node root) {
    result_.hydra = std::move(*root.find("hydra"));
    root.erase("hydra");
    result_.job = std::move(root);
  }

  const ComposeRequest& request_;
  const ResolverRegistry& resolvers_;
  std::shared_ptr<ConfigRepository> repository_;
  Composed result_;
};

}  // namespace

Node Composed::all() const {
  Node root = Node::map(job.origin());
  root.set("hydra", hydra);
  for (const Node::Entry& entry : job.entries()) root.set(entry.first, entry.second);
  root.struct_flag = job.struct_flag;
  return root;
}

Composed compose(const ComposeRequest& request) { return Composer(request).compose(); }

namespace {

std::string print(const Node& node, const ResolverRegistry& registry) {
  PrintOptions options;
  options.resolvers = &registry;
  return to_yaml(node, options);
}

// Only the part shown need resolve; a reference to a missing value shows as missing.
Node resolved_part(const Node& root, const std::string& path, const ResolverRegistry& registry) {
  try {
    return to_container(root, path, {}, registry);
  } catch (const ConfigError& error) {
    if (error.kind() != "InterpolationToMissingValueError") throw;
  }
  Node copy = root;
  resolve(copy, registry);
  return *find_path(copy, path);
}

}  // namespace

ResolverRegistry job_resolvers(const Composed& composed, const ResolverRegistry& base) {
  ResolverRegistry registry = base;
  registry.hydra_config = std::make_shared<const Node>(composed.all());
  return registry;
}

ConfigPart part_named(std::string_view name) {
  return name == "job" ? ConfigPart::kJob : name == "hydra" ? ConfigPart::kHydra : ConfigPart::kAll;
}

Node config_part(const Composed& composed, ConfigPart part) {
  if (part == ConfigPart::kJob) return composed.job;
  if (part == ConfigPart::kAll) return composed.all();
  Node hydra = composed.hydra;
  hydra.erase("hydra_help");
  hydra.erase("help");
  Node root = Node::map();
  root.set("hydra", std::move(hydra));
  return root;
}

void throw_package_not_found(const Node& root, const std::string& package) {
  const size_t dot = package.rfind('.');
  const Node* parent = dot == std::string::npos ? &root : find_path(root, package.substr(0, dot));
  const std::string prefix = dot == std::string::npos ? "" : package.substr(0, dot + 1);
  std::vector<std::string> names;
  if (parent != nullptr && parent->is_map()) names = nearest_keys(*parent, package.substr(prefix.size()));
  for (std::string& name : names) name.insert(0, prefix);
  throw ConfigError("PackageNotFound", "package '" + package + "' not found in config").with_candidates(names);
}

std::string show_config(const Composed& composed, ConfigPart part, const std::optional<std::string>& package,
                        bool resolve, const ResolverRegistry& resolvers) {
  const ResolverRegistry registry = job_resolvers(composed, resolvers);
  Node root = config_part(composed, part);
  if (!package || *package == "_global_") {
    if (resolve) fathom::config::resolve(root, registry);
    return print(root, registry);
  }
  const std::string header = "# @package " + *package + "\n";
  const Node* written = find_path(root, *package);
  if (written != nullptr && !written->is_scalar()) {
    return header + print(resolve ? resolved_part(root, *package, registry) : *written, registry);
  }
  Node value;
  if (!select(root, *package, &value, registry) || value.is_null()) throw_package_not_found(root, *package);
  return value.is_scalar() ? python_str(value) + "\n" : header + print(value, registry);
}

}  // namespace fathom::config
