// Collects the pairs of one YAML mapping as PyYAML and OmegaConf do: duplicate keys, key types, merge keys ("<<").
// Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "core/config/node.h"

namespace fathom::config {

class YamlMapping {
 public:
  // `warnings` may be null; see LoadOptions.
  YamlMapping(const Origin& origin, std::vector<std::string>* warnings)
      : warnings_(warnings), map_(Node::map(origin)) {}

  // `merge`: the key is a plain "<<". `where` is the key's place here, which the node of an alias does not know.
  // Throws ConfigError ConstructorError or KeyValidationError.
  void key(Node key, bool merge, const Origin& where);
  // The value of the last key. Throws ConfigError ConstructorError.
  void value(Node value);
  Node finish();

  bool merging() const { return merging_; }
  const Node& current_key() const { return key_; }

 private:
  void add_merged(const Node& value);

  std::vector<std::string>* warnings_;
  Node map_, key_;
  Node merged_ = Node::map();
  Origin where_;
  std::vector<int32_t> key_lines_;
  bool merging_ = false;
};

}  // namespace fathom::config
