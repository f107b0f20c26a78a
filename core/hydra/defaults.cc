#include "core/hydra/defaults.h"

#include <algorithm>
#include <memory>
#include <regex>
#include <set>

#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/resolver.h"
#include "core/hydra/default_item.h"

namespace fathom::config {
namespace {

constexpr int kMaxDepth = 100;  // deeper defaults lists name each other in a circle

struct TreeNode {
  DefaultItem item;
  TreeNode* parent = nullptr;
  std::vector<std::unique_ptr<TreeNode>> children;
};

struct GroupChoice {
  DefaultItem::Choice choice;
  bool external = false;  // from the command line
  std::string containing_config;
  Origin origin = {};
  bool used = false;
};

struct Deletion {
  std::optional<std::string> name;
  Origin origin = {};
  bool used = false;
};

std::string choice_text(const DefaultItem::Choice& choice) {
  if (const auto* option = std::get_if<std::string>(&choice)) return *option;
  if (const auto* options = std::get_if<std::vector<std::string>>(&choice)) return "[" + join(*options, ",") + "]";
  return "null";
}

[[noreturn]] void fail(const std::string& message, const Origin& origin = {},
                       const std::vector<std::string>& candidates = {}) {
  throw ConfigError("ConfigCompositionException", message).with_where(origin.text()).with_candidates(candidates);
}

class Builder {
 public:
  Builder(ConfigRepository& repository, const DefaultsRequest& request)
      : repository_(repository), request_(request), version_(repository.version()) {}

  DefaultsList build(const std::vector<Override>& overrides) {
    sort_overrides(overrides);
    TreeNode root;
    DefaultItem hydra;
    hydra.path = "hydra/config";
    root.children.push_back(make_node(std::move(hydra), &root));
    DefaultItem primary;
    primary.primary = true;
    primary.path = request_.config_name.value_or("");
    primary.origin = request_.config_name_origin;
    if (request_.config_name || !appended_.empty()) root.children.push_back(make_node(std::move(primary), &root));
    // Later items first, as everywhere below: the primary config may override choices of hydra/config.
    for (auto child = root.children.rbegin(); child != root.children.rend(); ++child) {
      (*child)->item.set_parent("", "");
      expand(**child, (*child)->item.primary, false);
    }
    for (const auto& child : root.children) flatten(*child, nullptr);
    check_duplicates();
    check_all_used();
    for (const auto& child : root.children) describe(*child, 0);
    for (const std::string& key : choice_order_) result_.choices.emplace_back(key, choices_[key]);
    return std::move(result_);
  }

 private:
  static std::unique_ptr<TreeNode> make_node(DefaultItem item, TreeNode* parent) {
    auto node = std::make_unique<TreeNode>();
    node->item = std::move(item);
    node->parent = parent;
    return node;
  }

  // Splits the command line into changes of values and choices of groups.
  void sort_overrides(const std::vector<Override>& overrides) {
    for (const Override& override : overrides) {
      if (override.is_sweep()) continue;
      if (override.value.is<ElementMap>() || !repository_.group_exists(override.key)) {
        result_.config_overrides.push_back(override);
        continue;
      }
      const Origin origin = command_line_origin(override.word);
      if (override.type == OverrideType::kForceAdd) {
        fail("force-add of config groups is not supported: '" + override.word + "'", origin);
      }
      if (override.type == OverrideType::kDelete) {
        const std::string* name = override.value.text();
        if (name == nullptr && !override.value.is_null()) {
          throw ConfigError("ValueError", "Config group override deletion value must be a string : " + override.word)
              .with_where(origin.text());
        }
        deletions_[override.key_element()] = {name == nullptr ? std::nullopt : std::optional<std::string>(*name),
                                              origin};
        continue;
      }
      DefaultItem::Choice choice = read_choice(override);
      if (override.type == OverrideType::kAdd) {
        DefaultItem item;
        item.kind = DefaultItem::Kind::kGroup;
        item.group = override.key;
        item.package = override.package;
        item.choice = std::move(choice);
        item.external_append = true;
        item.origin = origin;
        appended_.push_back(std::move(item));
        continue;
      }
      set_choice(override.key_element(), {std::move(choice), true, {}, origin});
    }
  }

  static DefaultItem::Choice read_choice(const Override& override) {
    if (const std::string* option = override.value.text()) return *option;
    if (override.value.is<ElementList>()) {
      std::vector<std::string> options;
      for (const Element& e : override.value.as<ElementList>()) {
        if (e.text() == nullptr) {
          throw ConfigError("ValueError", "Config group options must be strings, got " +
                                              std::string(element_type_name(e)) + " in '" + override.word + "'")
              .with_where(command_line_origin(override.word));
        }
        options.push_back(*e.text());
      }
      return options;
    }
    throw ConfigError("ValueError", "Config group override must be a string or a list. Got " +
                                        std::string(element_type_name(override.value)))
        .with_where(command_line_origin(override.word).text())
        .with_next("to leave the group out, delete it: ~" + override.key_element());
  }

  void set_choice(const std::string& key, GroupChoice choice) {
    if (overrides_.find(key) == overrides_.end()) override_order_.push_back(key);
    overrides_[key] = std::move(choice);
  }

  std::string key_of(const DefaultItem& item) const { return item.override_key(version_); }
  std::string package_of(const DefaultItem& item) const { return item.final_package(version_); }

  // Loads the node's config and expands its defaults list into children.
  void expand(TreeNode& node, bool is_root, bool interpolated) {
    DefaultItem& item = node.item;
    check_depth(node);
    const bool nameless = item.primary && !request_.config_name;  // only groups from the command line
    std::shared_ptr<const LoadedConfig> loaded;
    if (!nameless) {
      if (is_root && !repository_.config_exists(item.config_path())) not_found(node);
      if (!item.is_missing() && item.name()) {
        loaded = repository_.load(item.config_path());
        if (loaded != nullptr) item.set_header(loaded->package_header, repository_);
      }
      if (take_deletion(item)) return;
      note_choice(item);
      if (!item.name()) return;
      if (skip_missing(item)) return;
      if (loaded == nullptr) {
        if (item.optional) {
          item.deleted = true;
          return;
        }
        not_found(node);
      }
    }
    std::vector<DefaultItem> items;
    if (loaded != nullptr) items = read_default_items(*loaded, repository_);
    bool self_added = false;
    if (!items.empty() || (is_root && !appended_.empty()) || (loaded != nullptr && loaded->defaults)) {
      self_added = add_self(item, items, loaded != nullptr && loaded->content.is_map() && loaded->content.size() > 0);
    }
    if (is_root && item.primary) items.insert(items.end(), appended_.begin(), appended_.end());
    adopt(items, item, interpolated);
    std::vector<std::unique_ptr<TreeNode>> children;  // last first
    for (auto it = items.rbegin(); it != items.rend(); ++it) add_children(node, *it, interpolated, children);
    expand_interpolations(node, items, self_added, children);
    std::reverse(children.begin(), children.end());
    node.children = std::move(children);
  }

  void check_depth(const TreeNode& node) const {
    int depth = 0;
    std::vector<std::string> chain;
    for (const TreeNode* at = &node; at->parent != nullptr; at = at->parent) {
      if (++depth <= 4) chain.insert(chain.begin(), at->item.config_path());
    }
    if (depth > kMaxDepth)
      fail("the defaults lists name each other in a circle: … -> " + join(chain, " -> "), node.item.origin);
  }

  bool take_deletion(DefaultItem& item) {
    if (!item.is_group()) return false;
    const auto deletion = deletions_.find(key_of(item));
    if (deletion == deletions_.end()) return false;
    if (deletion->second.name && deletion->second.name != item.name()) return false;
    deletion->second.used = true;
    item.deleted = true;
    return true;
  }

  void note_choice(const DefaultItem& item) {
    if (!item.is_group()) return;
    const std::string key = key_of(item);
    const auto known = choices_.find(key);
    if (known == choices_.end()) {
      choices_[key] = item.name();
      choice_order_.push_back(key);
    } else if (known->second != item.name()) {
      fail("Multiple values for " + key + ". To override a value use 'override " + key + ": " +
               known->second.value_or("null") + "'",
           item.origin);
    }
    choices_per_group_[item.group_path()].insert(key);
  }

  bool skip_missing(const DefaultItem& item) const {
    if (!item.config_path().ends_with("???")) return false;
    if (request_.skip_missing) return true;
    if (!item.is_group()) {
      throw ConfigError("ValueError", "Missing ConfigDefault is not supported : " + item.config_path())
          .with_where(item.origin.text());
    }
    const std::string key = key_of(item);
    std::string message = "You must specify '" + key + "', e.g, " + key + "=<OPTION>\nAvailable options:";
    for (const std::string& option : repository_.group_options(item.group_path())) message += "\n\t" + option;
    fail(message, item.origin);
  }

  // Puts `_self_` last where the list does not say where the file's own content goes. True when it was put.
  bool add_self(const DefaultItem& containing, std::vector<DefaultItem>& items, bool has_content) {
    bool has_self = false, has_normal = false;
    for (const DefaultItem& item : items) {
      has_normal = has_normal || !item.is_override;
      if (!item.is_self()) continue;
      if (has_self) fail("Duplicate _self_ defined in " + containing.config_path(), item.origin);
      has_self = true;
    }
    if (!has_self && (has_normal || items.empty())) {
      if (containing.primary && has_content && has_normal && !version_.at_least(2)) {
        repository_.warnings().push_back(
            {"In '" + containing.config_path() +
             "': Defaults list is missing `_self_`. The config's own content is composed last; "
             "write `_self_` where it shall go"});
      }
      DefaultItem self;
      self.path = "_self_";
      items.push_back(std::move(self));
      return true;
    }
    if (!has_self) {  // a list of overrides only: the content still belongs to the composition
      DefaultItem self;
      self.path = "_self_";
      items.insert(items.begin(), std::move(self));
      return true;
    }
    return false;
  }

  // Gives items their parent, registers `override` items.
  void adopt(std::vector<DefaultItem>& items, const DefaultItem& parent, bool interpolated) {
    const DefaultItem* last_override = nullptr;
    for (DefaultItem& item : items) {
      if (item.is_self()) continue;
      item.set_parent(parent.group_path(), package_of(parent));
      const bool legacy =
          item.is_group() && !item.is_override && item.group.starts_with("hydra/") && !version_.at_least(2);
      if (last_override != nullptr && !item.is_override && !item.external_append && !legacy) {
        fail("In " + parent.config_path() + ": Override '" + key_of(*last_override) + " : " +
                 choice_text(last_override->choice) + "' is defined before '" +
                 (item.is_group() ? key_of(item) + ": " + choice_text(item.choice) : item.path) +
                 "'.\nOverrides must be at the end of the defaults list",
             item.origin);
      }
      if (legacy && !item.external_append) {
        item.is_override = true;
        repository_.warnings().push_back({"In " + parent.config_path() + ": Invalid overriding of " + item.group +
                                          ":\nDefault list overrides requires 'override' keyword."});
      } else if (item.is_override) {
        last_override = &item;
      }
      if (!item.is_override) continue;
      if (interpolated) {
        fail(parent.config_path() +
                 ": Default List Overrides are not allowed in the subtree of an interpolated config "
                 "group (override " +
                 key_of(item) + "=" + choice_text(item.choice) + ").",
             item.origin);
      }
      if (overrides_.find(key_of(item)) == overrides_.end()) {  // the outermost one wins
        set_choice(key_of(item), {item.choice, false, parent.config_path(), item.origin});
      }
    }
  }

  void add_children(TreeNode& node, DefaultItem item, bool interpolated,
                    std::vector<std::unique_ptr<TreeNode>>& children) {
    if (item.is_self()) {
      item.set_parent(node.item.parent_base_dir, node.item.parent_package);
      children.push_back(make_node(std::move(item), &node));
      return;
    }
    if (item.is_override) return;
    if (item.is_group()) {
      if (const auto found = overrides_.find(key_of(item)); found != overrides_.end()) {
        item.choice = found->second.choice;
        item.origin = found->second.origin;
        found->second.used = true;
      }
    }
    if (item.is_group() && item.has_options()) {
      const auto options = std::get<std::vector<std::string>>(item.choice);
      for (auto option = options.rbegin(); option != options.rend(); ++option) {
        if (option->find("${") != std::string::npos) {
          fail("In '" + node.item.config_path() +
                   "': Defaults List interpolation is not supported in options list items",
               item.origin);
        }
        DefaultItem file;
        file.path = item.group + "/" + *option;
        file.package = item.package;
        file.optional = item.optional;
        file.origin = item.origin;
        file.set_parent(node.item.group_path(), package_of(node.item));
        add_expanded(node, std::move(file), interpolated, children);
      }
      return;
    }
    if (item.is_interpolation()) {
      children.push_back(make_node(std::move(item), &node));  // expanded when all choices are known
      return;
    }
    add_expanded(node, std::move(item), interpolated, children);
  }

  void add_expanded(TreeNode& parent, DefaultItem item, bool interpolated,
                    std::vector<std::unique_ptr<TreeNode>>& children) {
    auto child = make_node(std::move(item), &parent);
    expand(*child, false, interpolated);
    children.push_back(std::move(child));
  }

  void expand_interpolations(TreeNode& node, const std::vector<DefaultItem>& items, bool self_added,
                             std::vector<std::unique_ptr<TreeNode>>& children) {
    for (auto& child : children) {
      DefaultItem& item = child->item;
      if (item.is_self() || !item.is_interpolation() || !child->children.empty()) continue;
      const std::string text = item.is_group() ? *item.name() : item.path;
      const std::string resolved = resolve(text, items, self_added, item);
      if (item.is_group()) {
        item.choice = resolved;
      } else {
        item.path = resolved;
      }
      item.set_parent(node.item.group_path(), package_of(node.item));
      expand(*child, false, true);
    }
  }

  // `${group}` stands for the choice of that group; `${defaults.N.group}` (up to 1.1) for the item's own.
  std::string resolve(const std::string& text, const std::vector<DefaultItem>& items, bool self_added,
                      const DefaultItem& item) {
    static const std::regex kLegacy(R"(\$\{defaults\.\d+\.)");
    if (std::regex_search(text, kLegacy)) {
      const std::string message = "Defaults list element '" + (item.is_group() ? key_of(item) + "=" : "") + text +
                                  "' is using a deprecated interpolation form; use ${group}";
      if (version_.at_least(2)) fail(message, item.origin);
      repository_.warnings().push_back({message});
    }
    Node known = Node::map();
    std::vector<std::string> keys;
    for (const std::string& key : choice_order_) {
      const auto& choice = choices_[key];
      known.set(Key(key), choice ? Node::scalar(*choice) : Node());
      keys.push_back(key);
    }
    Node list = Node::list();
    for (const DefaultItem& d : items) {
      if (self_added && d.is_self()) continue;
      if (!d.is_group()) {
        list.append(Node::scalar(d.is_self() ? d.path : d.config_path()));
        continue;
      }
      Node entry = Node::map();
      entry.set(Key(key_of(d)), d.name() ? Node::scalar(*d.name()) : Node());
      list.append(std::move(entry));
    }
    known.set("defaults", std::move(list));
    known.set("_dummy_", Node::scalar(text));
    std::string reason;
    try {
      const Node value = get(known, "_dummy_");
      if (value.is_string()) return std::get<std::string>(value.value());
      reason = "it is not a string";
    } catch (const ConfigError& error) {
      reason = error.message();
    }
    std::string message = "Error resolving interpolation '" + text + "'";
    if (!keys.empty()) message += ", possible interpolation keys: " + join(keys, ", ");
    throw ConfigError("ConfigCompositionException", message).with_where(item.origin.text()).with_seen(reason);
  }

  [[noreturn]] void not_found(const TreeNode& node) const {
    const DefaultItem& item = node.item;
    std::string message;
    std::vector<std::string> options;
    if (item.primary) {
      options = repository_.group_options("");
      message =
          "Cannot find primary config '" + item.config_path() + "'. Check that it's in your config search path.\n";
    } else {
      if (node.parent != nullptr && node.parent->parent != nullptr) {
        message = "In '" + node.parent->item.config_path() + "': ";
      } else if (node.parent != nullptr) {
        message = "In '<root>': ";
      }
      if (item.is_group()) {
        options = repository_.group_options(item.group_path());
        message += "Could not find '" + item.config_path() + "'\n";
        if (!options.empty()) message += "\nAvailable options in '" + item.group_path() + "':";
        for (const std::string& option : options) message += "\n\t" + option;
      } else {
        message += "Could not load '" + item.config_path() + "'.\n";
      }
    }
    throw ConfigError("MissingConfigException", message + repository_.describe())
        .with_where(item.origin.text())
        .with_candidates(nearest_names(item.name().value_or(""), options));
  }

  // Parents first is the tree's order already; leaves are the configs.
  void flatten(const TreeNode& node, const TreeNode* parent) {
    if (!node.children.empty()) {
      for (const auto& child : node.children) flatten(*child, &node);
      return;
    }
    const DefaultItem& item = node.item;
    if (item.deleted || item.is_missing() || !item.name()) return;
    const bool nameless_parent = parent != nullptr && parent->item.primary && !request_.config_name;
    ResultDefault result;
    if (item.is_self()) {
      if (nameless_parent) return;
      result.config_path = parent->item.config_path();
      result.is_self = true;
      if (parent->parent != nullptr && parent->parent->parent != nullptr) {
        result.parent = parent->parent->item.config_path();
      }
      result.package = package_of(parent->item);
      result.primary = parent->item.primary;
    } else {
      if (item.primary && !request_.config_name) return;
      result.config_path = item.config_path();
      if (parent != nullptr && !nameless_parent) result.parent = parent->item.config_path();
      result.package = package_of(item);
      if (item.is_group()) result.override_key = key_of(item);
      result.primary = item.primary;
    }
    result_.defaults.push_back(std::move(result));
  }

  void check_duplicates() const {
    std::set<std::string> seen;
    for (const ResultDefault& d : result_.defaults) {
      if (d.is_self || !d.override_key) continue;
      if (!seen.insert(*d.override_key).second) {
        fail(*d.override_key + " appears more than once in the final defaults list");
      }
    }
  }

  void check_all_used() const {
    for (const std::string& key : override_order_) {
      const GroupChoice& choice = overrides_.at(key);
      if (choice.used) continue;
      const auto known = choices_per_group_.find(key.substr(0, key.find('@')));
      std::vector<std::string> names;
      if (known != choices_per_group_.end()) names.assign(known->second.begin(), known->second.end());
      std::string message = "Could not override '" + key + "'.";
      if (names.empty()) {
        message += " No match in the defaults list.";
      } else if (names.size() == 1) {
        message += "\nDid you mean to override " + names[0] + "?";
      } else {
        message += "\nDid you mean to override one of " + join(names, ", ") + "?";
      }
      if (!choice.containing_config.empty()) message = "In '" + choice.containing_config + "': " + message;
      if (choice.external) {
        message += "\nTo append to your default list use +" + key + "=" + choice_text(choice.choice);
      }
      fail(message, choice.origin, nearest_names(key, choice_order_));
    }
    for (const auto& [key, deletion] : deletions_) {
      if (deletion.used) continue;
      fail(
          "Could not delete '" + key + (deletion.name ? "=" + *deletion.name : "") + "'. No match in the defaults list",
          deletion.origin, nearest_names(key, choice_order_));
    }
  }

  void describe(const TreeNode& node, int depth) {
    const DefaultItem& item = node.item;
    if (item.primary && !request_.config_name) {
      for (const auto& child : node.children) describe(*child, depth);
      return;
    }
    std::string text = item.is_self()    ? "_self_"
                       : item.is_group() ? key_of(item) + ": " + choice_text(item.choice)
                                         : item.config_path();
    if (item.deleted) text += " (deleted)";
    result_.tree.push_back({depth, std::move(text)});
    for (const auto& child : node.children) describe(*child, depth + 1);
  }

  ConfigRepository& repository_;
  const DefaultsRequest& request_;
  VersionBase version_;
  DefaultsList result_;
  std::vector<DefaultItem> appended_;
  std::map<std::string, GroupChoice> overrides_;
  std::vector<std::string> override_order_;
  std::map<std::string, Deletion> deletions_;
  std::map<std::string, std::optional<std::string>> choices_;
  std::vector<std::string> choice_order_;
  std::map<std::string, std::set<std::string>> choices_per_group_;
};

}  // namespace

DefaultsList build_defaults_list(ConfigRepository& repository, const DefaultsRequest& request,
                                 const std::vector<Override>& overrides) {
  return Builder(repository, request).build(overrides);
}

}  // namespace fathom::config
