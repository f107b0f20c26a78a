#include "core/hydra/override_apply.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/interpolation.h"
#include "core/config/merge.h"
#include "core/config/printer.h"
#include "core/config/schema.h"

namespace fathom::config {
namespace {

ConfigError composition_error(const Override& override, const std::string& message) {
  return ConfigError("ConfigCompositionException", message).with_where(command_line_origin(override.word).text());
}

// The same failure as a composition error: what was tried, then why not.
ConfigError wrap(const Override& override, const std::string& message, const ConfigError& cause,
                 std::vector<std::string> candidates = {}) {
  if (!cause.candidates().empty()) candidates.push_back(cause.candidates());
  return composition_error(override, message + "\n" + cause.message())
      .with_cause(cause.kind())
      .with_seen(cause.seen())
      .with_expected(cause.expected())
      .with_candidates(candidates)
      .with_next(cause.next());
}

class Applier {
 public:
  Applier(Node& root, const Override& override, const ApplyOptions& options)
      : root_(root),
        override_(override),
        options_(options),
        resolvers_(options.resolvers != nullptr ? *options.resolvers : default_resolvers()) {}

  void apply() {
    if (override_.is_sweep()) throw composition_error(override_, "a sweep is no value: '" + override_.word + "'");
    if (override_.package) {
      throw composition_error(override_, "Override " + override_.word +
                                             " looks like a config group override, but config group '" + override_.key +
                                             "' does not exist.");
    }
    if (override_.key.empty()) return apply_without_key();
    try {
      switch (override_.type) {
        case OverrideType::kDelete: return remove();
        case OverrideType::kAdd: return add();
        case OverrideType::kForceAdd: return set(true);
        case OverrideType::kChange: return change();
      }
    } catch (const ConfigError& error) {
      if (error.kind() == "ConfigCompositionException") throw;
      throw wrap(override_, "Error merging override " + override_.word, error);
    }
  }

 private:
  Node value() const {
    Node node = to_node(override_.value, command_line_origin(override_.word));
    check_interpolations(node);
    return node;
  }

  // Broken ones are refused when they are written, not when they are first read.
  static void check_interpolations(const Node& node) {
    if (node.is_string()) {
      const std::string& text = std::get<std::string>(node.value());
      if (text.find("${") != std::string::npos) check_interpolation(text);
    }
    for (const Node& item : node.items()) check_interpolations(item);
    for (const Node::Entry& entry : node.entries()) check_interpolations(entry.second);
  }

  // "+={a:1}": to the letter, the empty key is a key like any other.
  void apply_without_key() {
    const bool adds = override_.type == OverrideType::kAdd || override_.type == OverrideType::kForceAdd;
    if (!options_.strict || !adds) {
      throw composition_error(override_, "'" + override_.word + "' has no key").with_next("write key=value");
    }
    Node added = value();
    Node* present = root_.find("");
    if (present != nullptr && present->is_map() && added.is_map()) {
      merge_into(*present, added, resolvers_);
    } else {
      root_.set("", std::move(added));
    }
  }

  void set(bool force_add) {
    update(root_, override_.key, value(), {.merge = true, .force_add = force_add}, resolvers_);
  }

  void change() {
    if (!options_.strict && set_name_of_section()) return;
    const auto& own = options_.program_keys;
    try {
      set(std::find(own.begin(), own.end(), override_.key) != own.end());
    } catch (const ConfigError& error) {
      if (error.kind() != "ConfigAttributeError" && error.kind() != "ConfigKeyError") throw;
      throw wrap(override_,
                 "Could not override '" + override_.key + "'.\nTo append to your config use +" + override_.word, error,
                 nearest_names(override_.key, {own.begin(), own.end()}));
    }
  }

  // `model.optim=adam`: the sections of NeMo's configs that hold a component have its name under `name`, and the
  // documentation sets them so. Replacing the whole section by a string is never meant.
  bool set_name_of_section() {
    const std::string* text = override_.value.text();
    Node* section = find_path(root_, override_.key);
    if (text == nullptr || section == nullptr || !section->is_map() || text->find("${") != std::string::npos)
      return false;
    Node* name = section->find("name");
    if (name == nullptr || !(name->is_string() || name->is_null())) return false;
    update(root_, override_.key + ".name", value(), {}, resolvers_);
    if (options_.warnings != nullptr) {
      options_.warnings->push_back({"'" + override_.word + "' is read as '" + override_.key + ".name=" +
                                    value_text(override_.value) + "': the section stays as it is otherwise"});
    }
    return true;
  }

  void add() {
    Node present;
    const bool container = override_.value.is<ElementMap>() || override_.value.is<ElementList>();
    if (select(root_, override_.key, &present, resolvers_) && !present.is_null() && !container) {
      throw composition_error(override_, "Could not append to config. An item is already at '" + override_.key +
                                             "'.\nEither remove + prefix: '" + override_.word.substr(1) +
                                             "'\nOr add a second + to add or override '" + override_.key + "': '+" +
                                             override_.word + "'");
    }
    set(true);
  }

  void remove() {
    Node present;
    const bool found = select(root_, override_.key, &present, resolvers_);
    const Node* written = find_path(root_, override_.key);
    const bool deletable_null = !options_.strict && written != nullptr && (written->is_null() || written->is_missing());
    if ((!found || present.is_null()) && !deletable_null) {
      ConfigError error =
          composition_error(override_, "Could not delete from config. '" + override_.key + "' does not exist.");
      throw std::move(error).with_candidates(siblings());
    }
    if (!override_.value.is_null()) {
      const Node wanted = value();
      if (!python_equal(present, wanted)) {
        throw composition_error(override_, "Could not delete from config. The value of '" + override_.key + "' is " +
                                               python_str(present) + " and not " + python_str(wanted) + ".");
      }
    }
    const size_t dot = override_.key.rfind('.');
    const Node* parent = dot == std::string::npos ? &root_ : find_path(root_, override_.key.substr(0, dot));
    if (parent != nullptr && parent != &root_) {  // Hydra opens the root, and only the root, for deletions
      if (const ClassType* type = object_type(*parent)) {
        throw ConfigError("ConfigTypeError", type->name + " (DictConfig) does not support deletion", override_.key);
      }
    }
    if (parent == nullptr || !remove_path(root_, override_.key)) {
      throw composition_error(
          override_, "Could not delete from config. '" + override_.key + "' is reached only through an interpolation.");
    }
  }

  std::vector<std::string> siblings() const {
    const size_t dot = override_.key.rfind('.');
    const Node* parent = dot == std::string::npos ? &root_ : find_path(root_, override_.key.substr(0, dot));
    if (parent == nullptr || !parent->is_map()) return {};
    const std::string prefix = dot == std::string::npos ? "" : override_.key.substr(0, dot + 1);
    std::vector<std::string> names = nearest_keys(*parent, override_.key.substr(prefix.size()));
    for (std::string& name : names) name = prefix + name;
    return names;
  }

  Node& root_;
  const Override& override_;
  const ApplyOptions& options_;
  const ResolverRegistry& resolvers_;
};

std::optional<double> number(const Node& node) {
  if (!node.is_scalar()) return std::nullopt;
  if (const auto* b = std::get_if<bool>(&node.value())) return *b ? 1.0 : 0.0;
  if (const auto* i = std::get_if<int64_t>(&node.value())) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&node.value())) return *d;
  return std::nullopt;
}

}  // namespace

bool python_equal(const Node& a, const Node& b) {
  if (const auto x = number(a), y = number(b); x && y) return *x == *y;
  if (a.kind() != b.kind()) return false;
  if (a.is_list()) {
    return std::equal(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(), python_equal);
  }
  if (a.is_map()) {
    if (a.size() != b.size()) return false;
    return std::all_of(a.entries().begin(), a.entries().end(), [&](const Node::Entry& entry) {
      const Node* other = b.find(entry.first);
      return other != nullptr && python_equal(entry.second, *other);
    });
  }
  return a.value() == b.value();
}

void apply_override(Node& root, const Override& override, const ApplyOptions& options) {
  Applier(root, override, options).apply();
}

void apply_overrides(Node& root, const std::vector<Override>& overrides, const ApplyOptions& options) {
  for (const Override& override : overrides) apply_override(root, override, options);
}

}  // namespace fathom::config
