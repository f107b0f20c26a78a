// One read of a tree in progress: where a value stands, interpolations followed from there, values made on the way.
// Internal to access.cc, merge.cc and the resolvers. One Evaluation per read and thread.
#pragma once

#include <array>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/interpolation.h"
#include "core/config/node.h"
#include "core/config/resolver.h"

namespace fathom::config {

// A node together with its way up, which relative interpolations and error messages need: nodes know no parents.
struct Place {
  const Node* node = nullptr;
  const Place* parent = nullptr;  // null for a root
  const Key* key = nullptr;       // when the parent is a map
  size_t index = 0;               // when the parent is a list
  bool temporary = false;         // made by a resolver, not part of the tree

  std::string full_key() const;
};

class Evaluation {
 public:
  Evaluation(const Node& root, const ResolverRegistry& registry) : registry_(registry) { root_ = add({&root}); }
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

  const Place* root() const { return root_; }
  const ResolverRegistry& registry() const { return registry_; }

  const Place* map_child(const Place* map, const Key& key, const Node& node) { return add({&node, map, &key}); }
  const Place* list_child(const Place* list, size_t index) {
    return add({&list->node->items()[index], list, nullptr, index});
  }
  // A value that is not in the tree, standing where `at` stands.
  const Place* temporary(const Place* at, Node value);

  // Follows interpolations until a value or container; typed fields convert the result. Throws ConfigError
  // Interpolation…Error, GrammarParseError, UnsupportedInterpolationType with the place's full key and origin.
  const Place* dereference(const Place* place);

  // The child by the text of a path: null when absent. Throws ConfigTypeError for a list and a text that is no number.
  const Place* child(const Place* container, std::string_view key);

  enum class Missing { kThrow, kReturn };
  // OmegaConf's select from `start`; null when absent. `key` may start with dots (relative to `start`). With kReturn
  // the place of a "???" is returned. Throws ConfigTypeError when the path leads through a scalar.
  const Place* select(const Place* start, std::string_view key, Missing missing);

  // A copy with all interpolations inside evaluated.
  enum class OnMissing { kKeep, kThrow };
  struct CopyOptions {
    OnMissing missing = OnMissing::kKeep;             // "???" written in the tree
    OnMissing missing_reference = OnMissing::kThrow;  // interpolation that leads to one: kKeep gives "???"
    bool plain = false;                               // without flags and schemas
  };
  Node resolved_copy(const Place* place, const CopyOptions& options);

  // An argument or a text at `place` as a value.
  Node evaluate(const Argument& argument, const Place* place);
  // The container an interpolation at `place` is relative to.
  static const Place* container_of(const Place* place) { return place->parent != nullptr ? place->parent : place; }

 private:
  const Place* add(Place place);
  // Counts what this read has made so far, and throws beyond what any config needs: values that name each other twice
  // double with every line.
  void spend(size_t values, size_t bytes, const Place* place);
  void spend(const Node& node, const Place* place);  // all of it
  const Place* evaluate_text(const std::vector<TextPart>& parts, const Place* place);
  const Place* evaluate(const Interpolation& interpolation, const Place* place);
  std::string join_parts(const std::vector<TextPart>& parts, const Place* place);
  const Place* follow_key(const std::string& key, const Place* place);
  const Place* call_resolver(const std::string& name, const Interpolation& interpolation, const Place* place);
  const Place* convert_result(const Place* result, const Place* place);
  const Place* resolve_string(const std::string& text, const Place* place);

  const ResolverRegistry& registry_;
  const Place* root_ = nullptr;
  std::array<Place, 24> first_;  // most reads need no more
  size_t used_ = 0;
  std::unique_ptr<std::deque<Place>> more_;
  std::list<Node> values_;
  std::vector<const Node*> copying_;  // containers being copied, for the same reason
  std::vector<const Node*> active_;   // interpolations being followed, to find cycles
  size_t spent_values_ = 0, spent_bytes_ = 0;
};

}  // namespace fathom::config
