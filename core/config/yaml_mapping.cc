#include "core/config/yaml_mapping.h"

#include <cmath>
#include <optional>
#include <utility>

#include "core/config/errors.h"

namespace fathom::config {
namespace {

// Numbers and booleans that Python takes for one key share a place, which stays the first one's.
Node* find_python_key(Node& map, const Key& key) {
  if (Node* const place = map.find(key)) return place;
  std::optional<double> number;
  if (const auto* flag = std::get_if<bool>(&key.value)) number = *flag ? 1.0 : 0.0;
  if (const auto* integer = std::get_if<int64_t>(&key.value)) number = static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(&key.value)) number = *real;
  if (!number) return nullptr;
  if (*number == 0 || *number == 1) {
    if (Node* const place = map.find(Key(Scalar(*number == 1)))) return place;
  }
  for (const double same : {*number, *number == 0 ? -*number : *number}) {
    if (Node* const place = map.find(Key(Scalar(same)))) return place;
  }
  constexpr double kBeyond = 9223372036854775808.0;  // 2^63
  if (!(*number >= -kBeyond && *number < kBeyond) || *number != std::floor(*number)) return nullptr;
  return map.find(Key(Scalar(static_cast<int64_t>(*number))));
}

void set_python_key(Node& map, const Key& key, Node value) {
  if (Node* const place = find_python_key(map, key)) {
    *place = std::move(value);
  } else {
    map.set(key, std::move(value));
  }
}

}  // namespace

void YamlMapping::key(Node key, bool merge, const Origin& where) {
  where_ = where;
  merging_ = merge;
  if (merge) return;
  if (!key.is_scalar()) {
    throw ConfigError("ConstructorError", "while constructing a mapping: found unhashable key")
        .with_where(where)
        .with_expected("a string, number or boolean as a key");
  }
  if (key.is_null()) {
    throw ConfigError("KeyValidationError", "Incompatible key type 'NoneType'")
        .with_where(where)
        .with_next("quote the key to make it a string");
  }
  key_ = std::move(key);
}

void YamlMapping::value(Node value) {
  if (merging_) return add_merged(value);
  Key key(key_.value());
  if (const auto* name = std::get_if<std::string>(&key_.value())) {
    if (map_.find(*name) != nullptr) {
      size_t first = 0;
      while (!map_.entries()[first].first.is_string(*name)) ++first;
      throw ConfigError("ConstructorError", "while constructing a mapping: found duplicate key " + *name)
          .with_where(where_)
          .with_seen("first in line " + std::to_string(key_lines_[first]) + ", again in line " +
                     std::to_string(where_.line))
          .with_next("remove one of them, or check the indentation");
    }
    if (warnings_ != nullptr && name->find('.') != std::string::npos) {
      warnings_->push_back(where_.text() + ": key '" + *name +
                           "' contains a dot: it makes one key of that name, not a nested value");
    }
  } else if (Node* const place = find_python_key(map_, key)) {  // the last one wins
    *place = std::move(value);
    return;
  }
  key_lines_.push_back(where_.line);
  map_.set(std::move(key), std::move(value));
}

// Merged keys come first; the mapping's own replace them in place.
Node YamlMapping::finish() {
  if (merged_.size() == 0) return std::move(map_);
  Node result = std::move(merged_);
  result.set_origin(map_.origin());
  for (auto& [key, value] : map_.mutable_entries()) set_python_key(result, key, std::move(value));
  return result;
}

void YamlMapping::add_merged(const Node& value) {
  if (value.is_map()) {
    for (const auto& [key, node] : value.entries()) set_python_key(merged_, key, node);
    return;
  }
  if (!value.is_list()) {
    throw ConfigError("ConstructorError", "expected a mapping or list of mappings for merging, but found a scalar")
        .with_where(where_);
  }
  // The first of several wins, so the last is laid down first.
  for (auto item = value.items().rbegin(); item != value.items().rend(); ++item) {
    if (!item->is_map()) {
      throw ConfigError("ConstructorError", std::string("expected a mapping for merging, but found ") +
                                                (item->is_list() ? "a sequence" : "a scalar"))
          .with_where(where_);
    }
    add_merged(*item);
  }
}

}  // namespace fathom::config
