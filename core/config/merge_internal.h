// What merging and updating share: flags as inherited on the way down, checks and typed assignment. Internal.
#pragma once

#include <string>
#include <vector>

#include "core/config/node.h"
#include "core/config/resolver.h"
#include "core/config/schema.h"

namespace fathom::config {

using Path = std::vector<Key>;  // list indices as int64_t

// The flags in force at a container: its own where set, else those of the containers above.
struct Flags {
  bool structure = false;
  bool readonly = false;
  Flags with(const Node& container) const {
    return {container.struct_flag.value_or(structure), container.readonly_flag.value_or(readonly)};
  }
};

// `key` as `map`'s declared key type holds it. Throws ConfigError KeyValidationError.
Key typed_key(const Node& map, const Key& key, const std::string& full_key);
// Throws ConfigKeyError or ReadonlyConfigError when `map` takes no new key. `flags` are those in force at `map`.
void check_can_add(const Node& map, const Key& key, const Node& value, Flags flags, const std::string& full_key);
Node typed_value(const Node& value, const SchemaPtr& declared, const std::string& full_key);
void assign_value(Node& slot, const Node& value, const SchemaPtr& declared, Flags flags, const std::string& full_key);
// `source` into the container `target`, which stands at `path` below `root`; `inherited` are the flags above it.
void merge_at(Node& root, Node& target, const Node& source, Flags inherited, const std::string& full_key,
              const Path& path, const ResolverRegistry& resolvers);

}  // namespace fathom::config
