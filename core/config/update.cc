// OmegaConf.update and deletion by path; declared in access.h.
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/merge_internal.h"
#include "core/config/printer.h"
#include "core/config/python_text.h"
#include "core/config/schema.h"

namespace fathom::config {
namespace {

// The key of `map` that the text names: itself, or the enum member or number a typed map has for it.
Key key_for(const Node& map, const std::string& text, const std::string& full_key) {
  return typed_key(map, Key(text), full_key);
}

size_t list_index(const Node& list, const std::string& text, const std::string& full_key) {
  const auto index = python_int(text);
  if (!index) {
    throw ConfigError("ConfigTypeError", "Index '" + text + "' (str) is not an int", full_key)
        .with_where(list.origin());
  }
  const int64_t size = static_cast<int64_t>(list.size());
  const int64_t wanted = *index < 0 ? *index + size : *index;
  if (wanted < 0 || wanted >= size) {
    throw ConfigError("ConfigIndexError", "list index out of range", full_key)
        .with_where(list.origin())
        .with_expected("an index below " + std::to_string(size));
  }
  return static_cast<size_t>(wanted);
}

// A struct's unknown key, in the words of attribute access.
[[noreturn]] void rethrow_as_attribute_error(const ConfigError& problem) {
  throw ConfigError("ConfigAttributeError", problem.bare_message(), problem.full_key())
      .with_where(problem.where())
      .with_candidates(problem.candidates().empty() ? std::vector<std::string>{}
                                                    : std::vector<std::string>{problem.candidates()});
}

}  // namespace

void update(Node& root, std::string_view path, const Node& value, const UpdateOptions& options,
            const ResolverRegistry& resolvers) {
  const std::vector<std::string> parts = split_path(path);
  Node* container = &root;
  Flags flags = Flags{}.with(root);
  std::string full_key;
  Path walked;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    SchemaPtr declared;
    Node* child = nullptr;
    if (container->is_list()) {
      const std::string child_key = full_key + "[" + parts[i] + "]";
      const size_t index = list_index(*container, parts[i], child_key);
      full_key = join_full_key(full_key, index);
      child = &container->items()[index];
      declared = item_schema(*container, index);
      walked.emplace_back(Scalar(static_cast<int64_t>(index)));
    } else {
      const Key key = key_for(*container, parts[i], full_key);
      full_key = join_full_key(full_key, key);
      declared = child_schema(*container, key);
      walked.push_back(key);
      child = container->find(key);
      if (child == nullptr) {
        Flags effective = flags;
        if (options.force_add) effective.structure = false;
        // Forced additions open a typed object too, as in OmegaConf: its class then knows only a part of it.
        const bool opened = options.force_add && object_type(*container) != nullptr && !effective.readonly;
        try {
          if (!opened) check_can_add(*container, key, value, effective, full_key);
        } catch (const ConfigError& problem) {
          if (problem.kind() != "ConfigKeyError") throw;
          rethrow_as_attribute_error(problem);
        }
        Node fresh = last ? value : Node::map(value.origin());
        if (declared && declared->type == Schema::Type::kClass && container->schema->type == Schema::Type::kDict &&
            fresh.is_map() && !fresh.schema) {
          throw ConfigError("ValidationError",
                            "Invalid type assigned: dict is not a subclass of " + declared->object->name +
                                ". value: " + python_str(fresh),
                            full_key)
              .with_where(value.origin())
              .with_next("add the entry in a config file: there a mapping is merged into a new " +
                         declared->object->name);
        }
        child = &container->set(key, typed_value(fresh, declared, full_key));
        if (last) return;
      }
    }
    if (last) {
      if (options.merge && child->is_map() && value.is_map()) {
        Flags effective = flags;
        if (options.force_add) effective.structure = false;
        merge_at(root, *child, value, effective, full_key, walked, resolvers);
        return;
      }
      if (options.merge && !child->is_scalar() && !value.is_scalar()) {
        if (child->kind() != value.kind()) {
          throw ConfigError("ConfigTypeError", "Cannot merge DictConfig with ListConfig", full_key)
              .with_where(value.origin());
        }
        merge_at(root, *child, value, flags, full_key, walked, resolvers);
        return;
      }
      assign_value(*child, value, declared, flags, full_key);
      return;
    }
    if (child->is_scalar()) {
      assign_value(*child, Node::map(value.origin()), declared, flags, full_key);
    }
    container = child;
    flags = flags.with(*container);
  }
}

bool remove_path(Node& root, std::string_view path) {
  const std::vector<std::string> parts = split_path(path);
  Node* container = &root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    container = find_path(*container, parts[i]);
    if (container == nullptr) return false;
  }
  const std::string& last = parts.back();
  if (container->is_map()) return container->erase(typed_key(*container, Key(last), {}));
  if (!container->is_list()) return false;
  const auto index = python_int(last);
  if (!index || *index < 0 || static_cast<size_t>(*index) >= container->size()) return false;
  container->items().erase(container->items().begin() + static_cast<ptrdiff_t>(*index));
  return true;
}

}  // namespace fathom::config
