#include "core/config/merge.h"

#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/evaluation.h"
#include "core/config/merge_internal.h"
#include "core/config/printer.h"
#include "core/config/schema.h"

namespace fathom::config {
namespace {

[[noreturn]] void throw_kinds_differ(const Node& source, const std::string& full_key) {
  throw ConfigError("ConfigTypeError", "Cannot merge DictConfig with ListConfig", full_key)
      .with_where(source.origin())
      .with_next("delete the key first to replace a mapping by a list: ~" + full_key);
}

class Merger {
 public:
  Merger(Node& root, const ResolverRegistry& resolvers) : root_(root), resolvers_(resolvers) {}

  void merge(Node& target, const Node& source, Flags flags, const std::string& full_key, const Path& path) {
    flags = flags.with(target);
    if (target.is_map() && source.is_map()) {
      merge_map(target, source, flags, full_key, path);
    } else if (target.is_list() && source.is_list()) {
      merge_list(target, source, flags, full_key);
    } else {
      throw_kinds_differ(source, full_key);
    }
    if (source.struct_flag) target.struct_flag = source.struct_flag;
    if (source.readonly_flag) target.readonly_flag = source.readonly_flag;
  }

 private:
  void merge_list(Node& target, const Node& source, Flags flags, const std::string& full_key) {
    if (flags.readonly && source.size() > 0) {
      throw ConfigError("ReadonlyConfigError", "ListConfig is read-only", join_full_key(full_key, 0))
          .with_where(source.origin());
    }
    Node list = target.schema ? convert(source, target.schema, full_key) : source;
    list.struct_flag = target.struct_flag;
    list.readonly_flag = target.readonly_flag;
    target = std::move(list);
  }

  void merge_map(Node& target, const Node& source, Flags flags, const std::string& full_key, const Path& path) {
    for (const auto& [source_key, value] : source.entries()) {
      const Key key = typed_key(target, source_key, full_key);
      const std::string child_key = join_full_key(full_key, key);
      Path child_path = path;
      child_path.push_back(key);
      Node* child = target.find(key);
      if (child == nullptr) {
        check_can_add(target, key, value, flags, child_key);
        target.set(key, typed_value(value, child_schema(target, key), child_key));
        continue;
      }
      if (child->is_interpolation()) child = copy_what_it_refers_to(child, child_path);
      if (value.is_missing()) continue;
      if (!child->is_scalar() && !value.is_scalar()) {
        merge(*child, value, flags, child_key, child_path);
        continue;
      }
      check_merge_into_object(*child, value, child_key);
      assign_value(*child, value, child_schema(target, key), flags, child_key);
    }
    if (!target.schema && source.schema) target.schema = source.schema;
  }

  // A reference to a container becomes a copy of the container, so that the merge does not change what it refers to.
  Node* copy_what_it_refers_to(Node* child, const Path& path) {
    Node content;
    {
      Evaluation evaluation(root_, resolvers_);
      const Place* place = evaluation.root();
      for (const Key& key : path) {
        if (place->node->is_list()) {
          place = evaluation.list_child(place, static_cast<size_t>(std::get<int64_t>(key.value)));
        } else {
          const Node* next = place->node->find(key);
          if (next == nullptr) return child;
          place = evaluation.map_child(place, key, *next);
        }
      }
      try {
        const Place* target = evaluation.dereference(place);
        if (target->node->is_scalar()) return child;
        content = *target->node;
      } catch (const ConfigError&) {
        return child;  // a broken reference is replaced like any other value, or stays
      }
    }
    *child = std::move(content);
    return child;
  }

  static void check_merge_into_object(const Node& child, const Node& value, const std::string& full_key) {
    if (object_type(child) == nullptr || value.is_null() || value.is_map()) return;
    const bool any = !child.schema || child.schema->type == Schema::Type::kAny;
    if (any) return;
    throw ConfigError("ValidationError",
                      "Merge error: '" + python_str(value) + "' is not a subclass of " + child.schema->object->name,
                      full_key)
        .with_where(value.origin())
        .with_expected("a mapping with the fields of " + child.schema->object->name);
  }

  Node& root_;
  const ResolverRegistry& resolvers_;
};

}  // namespace

Key typed_key(const Node& map, const Key& key, const std::string& full_key) {
  if (!map.schema || map.schema->type != Schema::Type::kDict) return key;
  // convert() of a one-entry map checks and converts the key.
  Node probe = Node::map();
  probe.set(key, Node::scalar(std::string("???")));
  return convert(probe, dict_of(map.schema->arguments[0], any_type()), full_key).entries()[0].first;
}

void check_can_add(const Node& map, const Key& key, const Node& value, Flags flags, const std::string& full_key) {
  if (flags.readonly) {
    throw ConfigError("ReadonlyConfigError", "Cannot change read-only config container", full_key)
        .with_where(value.origin());
  }
  const ClassType* object = object_type(map);
  if (object != nullptr && map.struct_flag != false) {
    const auto* name = std::get_if<std::string>(&key.value);
    if (name != nullptr && object->find(*name) != nullptr) return;
    throw ConfigError("ConfigKeyError", "Key '" + key.text() + "' not in '" + object->name + "'", full_key)
        .with_where(value.origin())
        .with_candidates(nearest_keys(map, key.text()));
  }
  if (object == nullptr && flags.structure) {
    throw ConfigError("ConfigKeyError", "Key '" + key.text() + "' is not in struct", full_key)
        .with_where(value.origin())
        .with_candidates(nearest_keys(map, key.text()));
  }
}

Node typed_value(const Node& value, const SchemaPtr& declared, const std::string& full_key) {
  if (!declared || declared->type == Schema::Type::kAny) return value;
  return convert(value, declared, full_key);
}

void assign_value(Node& slot, const Node& value, const SchemaPtr& declared, Flags flags, const std::string& full_key) {
  if (flags.readonly) {
    throw ConfigError("ReadonlyConfigError", "Cannot change read-only config container", full_key)
        .with_where(value.origin());
  }
  slot = typed_value(value, declared, full_key);
}

void merge_at(Node& root, Node& target, const Node& source, Flags inherited, const std::string& full_key,
              const Path& path, const ResolverRegistry& resolvers) {
  Merger(root, resolvers).merge(target, source, inherited, full_key, path);
}

void merge_into(Node& left, const Node& right, const ResolverRegistry& resolvers) {
  const auto readonly = left.readonly_flag;
  left.readonly_flag.reset();  // merging makes a new config: only read-only parts inside refuse
  merge_at(left, left, right, {}, {}, {}, resolvers);
  if (readonly) left.readonly_flag = readonly;
}

Node merge(const Node& left, const Node& right, const ResolverRegistry& resolvers) {
  return merge(std::vector<const Node*>{&left, &right}, resolvers);
}

Node merge(const std::vector<const Node*>& trees, const ResolverRegistry& resolvers) {
  if (trees.empty()) return Node::map();
  Node result = *trees[0];
  const auto readonly = result.readonly_flag;
  result.readonly_flag.reset();
  for (size_t i = 1; i < trees.size(); ++i) merge_at(result, result, *trees[i], {}, {}, {}, resolvers);
  if (readonly) result.readonly_flag = readonly;
  return result;
}

void merge_into_path(Node& root, const std::vector<Key>& path, const Node& right, const ResolverRegistry& resolvers) {
  Node* target = &root;
  Flags flags;
  std::string full_key;
  for (const Key& key : path) {
    flags = flags.with(*target);
    full_key = join_full_key(full_key, key);
    target = target->find(key);
    if (target == nullptr) throw ConfigError("ConfigKeyError", "Missing key " + key.text(), full_key);
  }
  merge_at(root, *target, right, flags, full_key, path, resolvers);
}

}  // namespace fathom::config
