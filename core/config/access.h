// Reading and changing a tree by path: OmegaConf's select, item access, resolve, to_container, missing_keys, update.
//
// Paths are "a.b", "a[b]", "[a].b", "a.0". Interpolations are evaluated at every read, relative to where they stand;
// nothing is cached. Reading is thread-safe as long as nobody writes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.h"
#include "core/config/resolver.h"

namespace fathom::config {

// "a.b[0]" split at dots and brackets. Throws ConfigError GrammarParseError for unbalanced brackets.
std::vector<std::string> split_path(std::string_view path);
// "a.b[0]" from keys of maps and indices of lists, as error messages name places.
std::string join_full_key(std::string_view parent, const Key& key);
std::string join_full_key(std::string_view parent, size_t index);

// The node as written (no interpolation is followed), or null. No allocation for plain paths.
const Node* find_path(const Node& root, std::string_view path);
Node* find_path(Node& root, std::string_view path);

// Item by item, as cfg.a.b in Python: absent keys, missing values ("???"), broken interpolations throw (ConfigKeyError,
// ConfigAttributeError under struct, MissingMandatoryValue, Interpolation…Error). A container is returned as it is
// written, in one exception: when it was reached through an interpolation, it is a copy with the interpolations inside
// resolved, as they could not be evaluated outside their place.
Node get(const Node& root, std::string_view path, const ResolverRegistry& resolvers = default_resolvers());
Node get(const Node& root, const std::vector<Key>& path, const ResolverRegistry& resolvers = default_resolvers());
// The same, and every interpolation inside a container result resolved.
Node get_resolved(const Node& root, const std::vector<Key>& path,
                  const ResolverRegistry& resolvers = default_resolvers());

// OmegaConf.select: false for absent keys, missing values and paths through null; other errors throw. A leading dot is
// not allowed here. `value` gets a container resolved.
bool select(const Node& root, std::string_view path, Node* value,
            const ResolverRegistry& resolvers = default_resolvers());

// OmegaConf.resolve: replaces every interpolation by its value; references to missing values become "???".
void resolve(Node& root, const ResolverRegistry& resolvers = default_resolvers());

struct ContainerOptions {
  bool resolve = true;
  bool throw_on_missing = false;  // MissingMandatoryValue for the first "???"
};
// OmegaConf.to_container: a plain copy without schemas and flags. `root` is where absolute interpolations start; `path`
// the part wanted.
Node to_container(const Node& root, const ContainerOptions& options = {},
                  const ResolverRegistry& resolvers = default_resolvers());
Node to_container(const Node& root, std::string_view path, const ContainerOptions& options = {},
                  const ResolverRegistry& resolvers = default_resolvers());

// Full keys of all "???" (also of interpolations that lead to one), sorted.
std::vector<std::string> missing_keys(const Node& root, const ResolverRegistry& resolvers = default_resolvers());

struct UpdateOptions {
  bool merge = true;       // maps are merged into maps (lists always replace); otherwise replaced
  bool force_add = false;  // new keys also under struct
};
// OmegaConf.update: sets `path` to `value`, making the maps on the way; typed fields convert, struct and readonly flags
// are respected. Throws ConfigError (ConfigAttributeError "Key 'x' is not in struct", ValidationError, ConfigIndexError
// …) and leaves the tree as far as it got.
void update(Node& root, std::string_view path, const Node& value, const UpdateOptions& options = {},
            const ResolverRegistry& resolvers = default_resolvers());
// Removes a key of a map or an item of a list. False when there is none.
bool remove_path(Node& root, std::string_view path);

}  // namespace fathom::config
