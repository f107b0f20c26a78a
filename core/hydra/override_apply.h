// Applies parsed overrides to a composed tree that is in struct mode, left to right, with Hydra's rules:
//
//   k=v     k must exist; a map is merged into a map, a list replaces
//   +k=v    k must be absent (or null, or v a map or a list)
//   ++k=v   sets or adds
//   ~k, ~k=v   deletes, the second only if the value is equal
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/config/node.h"
#include "core/config/resolver.h"
#include "core/hydra/override.h"
#include "core/hydra/search_path.h"

namespace fathom::config {

struct ApplyOptions {
  // As Hydra, to the letter. Otherwise also: `section=name` for a section with a `name` key sets that key, and `~k`
  // deletes a key whose value is null.
  bool strict = false;
  std::span<const std::string> program_keys = {};  // that k=v adds, see ComposeRequest
  const ResolverRegistry* resolvers = nullptr;     // null: default_resolvers()
  std::vector<Warning>* warnings = nullptr;        // what was read otherwise than the letter
};

// Throws ConfigError ConfigCompositionException naming the word and the full key, with the nearest keys.
void apply_override(Node& root, const Override& override, const ApplyOptions& options = {});
void apply_overrides(Node& root, const std::vector<Override>& overrides, const ApplyOptions& options = {});

// Python's ==: 1, 1.0 and true are equal, maps compare without order.
bool python_equal(const Node& a, const Node& b);

}  // namespace fathom::config
