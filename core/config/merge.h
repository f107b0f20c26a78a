// OmegaConf.merge: right into left.
//
//   map + map     merged key by key: the left order stays, new keys follow
//   list + any list   replaced
//   map or list + the other   ConfigTypeError "Cannot merge DictConfig with ListConfig"
//   anything + "???"  left stays;  ${ref} to a map + map: the content is copied, then merged;  otherwise right wins
//
// Typed fields of the left side convert what comes (schema.h); struct and readonly flags are respected; flags set on
// the right side are taken over.
#pragma once

#include <vector>

#include "core/config/node.h"
#include "core/config/resolver.h"

namespace fathom::config {

// Roots. Throws ConfigError: ConfigTypeError, ConfigKeyError (struct), ReadonlyConfigError, ValidationError.
Node merge(const Node& left, const Node& right, const ResolverRegistry& resolvers = default_resolvers());
Node merge(const std::vector<const Node*>& trees, const ResolverRegistry& resolvers = default_resolvers());
// In place, moving from nothing; `left` is unspecified when it throws.
void merge_into(Node& left, const Node& right, const ResolverRegistry& resolvers = default_resolvers());
// The same for a place inside a tree: `root` is where absolute interpolations start.
void merge_into_path(Node& root, const std::vector<Key>& path, const Node& right,
                     const ResolverRegistry& resolvers = default_resolvers());

}  // namespace fathom::config
