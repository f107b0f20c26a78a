// OmegaConf.to_yaml, byte for byte: block style, keys in order, strings quoted where YAML readers or OmegaConf would
// take them for something else, lines folded at 80 columns.
#pragma once

#include <string>
#include <string_view>

#include "core/config/node.h"
#include "core/config/resolver.h"

namespace fathom::config {

struct PrintOptions {
  bool resolve = false;        // evaluate interpolations; a broken one throws
  const Node* root = nullptr;  // where absolute interpolations start, when the node printed is part of a tree
  std::string_view path;       // of the node within root
  const ResolverRegistry* resolvers = nullptr;  // null: default_resolvers()
};

// Ends with a newline. A scalar is printed as a one-line document.
std::string to_yaml(const Node& node, const PrintOptions& options = {});

// Python's str() of a value as interpolations join it: True, None, 1e-05, [1, 'a'], {'k': 1}.
std::string python_str(const Node& node);
std::string python_repr(const Node& node);

}  // namespace fathom::config
