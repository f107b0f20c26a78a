#include "core/config/access.h"

#include <algorithm>

#include "core/config/errors.h"
#include "core/config/evaluation.h"
#include "core/config/merge_internal.h"
#include "core/config/python_text.h"
#include "core/config/schema.h"

namespace fathom::config {
namespace {

bool is_identifier_path(std::string_view path) { return path.find('[') == std::string_view::npos; }

Flags flags_at(const Place* container) {
  const Flags above = container->parent != nullptr ? flags_at(container->parent) : Flags{};
  return above.with(*container->node);
}

[[noreturn]] void throw_absent(const Place* container, const Key& key) {
  const Node& node = *container->node;
  if (node.is_list()) {
    throw ConfigError("ConfigIndexError", "list index out of range", container->full_key() + "[" + key.text() + "]")
        .with_where(node.origin())
        .with_expected("an index below " + std::to_string(node.size()));
  }
  const ClassType* object = object_type(node);
  std::string what = "Missing key " + key.text();
  if (object != nullptr) {
    what = "Key '" + key.text() + "' not in '" + object->name + "'";
  } else if (flags_at(container).structure) {
    what = "Key '" + key.text() + "' is not in struct";
  }
  throw ConfigError("ConfigKeyError", what, join_full_key(container->full_key(), key))
      .with_where(node.origin())
      .with_candidates(nearest_keys(node, key.text()));
}

const Place* step(Evaluation& evaluation, const Place* container, const Key& key) {
  const Node& node = *container->node;
  if (node.is_scalar()) {
    throw ConfigError("ConfigTypeError",
                      "'" + container->full_key() + "' is a value and has no key '" + key.text() + "'",
                      join_full_key(container->full_key(), key))
        .with_where(node.origin());
  }
  const Place* found = nullptr;
  if (node.is_map()) {
    if (const Node* child = node.find(key)) {
      found = evaluation.map_child(container, key, *child);
    } else if (const auto* text = std::get_if<std::string>(&key.value)) {
      found = evaluation.child(container, *text);
    }
  } else if (const auto* index = std::get_if<int64_t>(&key.value)) {
    const int64_t size = static_cast<int64_t>(node.size());
    const int64_t wanted = *index < 0 ? *index + size : *index;
    if (wanted >= 0 && wanted < size) found = evaluation.list_child(container, static_cast<size_t>(wanted));
  } else {
    found = evaluation.child(container, key.text());
  }
  if (found == nullptr) throw_absent(container, key);
  if (found->node->is_missing()) {
    throw ConfigError("MissingMandatoryValue", "Missing mandatory value: " + key.text(), found->full_key())
        .with_where(found->node->origin())
        .with_next("set it in the config or on the command line: " + found->full_key() + "=…");
  }
  return evaluation.dereference(found);
}

Node read(const Node& root, const std::vector<Key>& path, bool resolved, const ResolverRegistry& resolvers) {
  Evaluation evaluation(root, resolvers);
  const Place* place = evaluation.root();
  const Node* direct = &root;
  for (const Key& key : path) {
    place = step(evaluation, evaluation.dereference(place), key);
    if (direct != nullptr && !direct->is_scalar()) {
      direct = direct->is_map() ? direct->find(key) : place->node;
    }
    if (direct != place->node) direct = nullptr;
  }
  if (place->node->is_scalar()) return *place->node;
  if (!resolved && direct == place->node) return *place->node;
  return evaluation.resolved_copy(place, {});
}

}  // namespace

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  if (is_identifier_path(path)) {
    size_t start = 0;
    while (true) {
      const size_t dot = path.find('.', start);
      parts.emplace_back(path.substr(start, dot - start));
      if (dot == std::string_view::npos) return parts;
      start = dot + 1;
    }
  }
  std::string part;
  bool part_open = path[0] != '[';
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '.') {
      if (part_open) parts.push_back(std::move(part));
      part.clear();
      part_open = true;
    } else if (path[i] == '[') {
      if (part_open) parts.push_back(std::move(part));
      part.clear();
      const size_t close = path.find(']', i);
      if (close == std::string_view::npos) {
        throw ConfigError("GrammarParseError", "']' is missing in the path '" + std::string(path) + "'");
      }
      parts.emplace_back(path.substr(i + 1, close - i - 1));
      i = close;
      part_open = false;
    } else {
      if (!part_open) {
        throw ConfigError("GrammarParseError", "expected '.' or '[' after ']' in the path '" + std::string(path) + "'");
      }
      part += path[i];
    }
  }
  if (part_open) parts.push_back(std::move(part));
  return parts;
}

std::string join_full_key(std::string_view parent, const Key& key) {
  const std::string text = key.text();
  if (parent.empty()) return text;
  return std::string(parent) + "." + text;
}

std::string join_full_key(std::string_view parent, size_t index) {
  return std::string(parent) + "[" + std::to_string(index) + "]";
}

const Node* find_path(const Node& root, std::string_view path) {
  const Node* node = &root;
  if (path.empty()) return node;
  const auto child = [&](std::string_view key) -> const Node* {
    if (node->is_map()) return node->find(key);
    if (!node->is_list()) return nullptr;
    const auto index = python_int(key);
    return index && *index >= 0 && static_cast<size_t>(*index) < node->size()
               ? &node->items()[static_cast<size_t>(*index)]
               : nullptr;
  };
  if (is_identifier_path(path)) {
    size_t start = 0;
    while (node != nullptr) {
      const size_t dot = path.find('.', start);
      node = child(path.substr(start, dot - start));
      if (dot == std::string_view::npos) return node;
      start = dot + 1;
    }
    return nullptr;
  }
  for (const auto& part : split_path(path)) {
    node = child(part);
    if (node == nullptr) return nullptr;
  }
  return node;
}

Node* find_path(Node& root, std::string_view path) {
  return const_cast<Node*>(find_path(static_cast<const Node&>(root), path));
}

Node get(const Node& root, std::string_view path, const ResolverRegistry& resolvers) {
  // A value without interpolations on the way needs no bookkeeping.
  if (const Node* found = find_path(root, path); found != nullptr) {
    if (!found->is_scalar()) return *found;
    if (!found->is_string() || (!found->is_missing() && !found->is_interpolation())) return *found;
  }
  std::vector<Key> keys;
  for (auto& part : split_path(path)) keys.emplace_back(std::move(part));
  return read(root, keys, false, resolvers);
}

Node get(const Node& root, const std::vector<Key>& path, const ResolverRegistry& resolvers) {
  return read(root, path, false, resolvers);
}

Node get_resolved(const Node& root, const std::vector<Key>& path, const ResolverRegistry& resolvers) {
  return read(root, path, true, resolvers);
}

bool select(const Node& root, std::string_view path, Node* value, const ResolverRegistry& resolvers) {
  Evaluation evaluation(root, resolvers);
  const Place* place = nullptr;
  try {
    place = evaluation.select(evaluation.root(), path, Evaluation::Missing::kReturn);
  } catch (const PathThroughValueError&) {
    return false;
  } catch (const ConfigError& problem) {
    if (problem.full_key() == path) throw;
    throw ConfigError(problem.kind(), problem.bare_message() + "\n    while reading '" + std::string(path) + "'",
                      problem.full_key())
        .with_where(problem.where())
        .with_next(problem.next());
  }
  if (place == nullptr || place->node->is_missing()) return false;
  *value = evaluation.resolved_copy(place, {});
  return true;
}

void resolve(Node& root, const ResolverRegistry& resolvers) {
  Node resolved;
  {
    Evaluation evaluation(root, resolvers);
    Evaluation::CopyOptions options;
    options.missing_reference = Evaluation::OnMissing::kKeep;
    resolved = evaluation.resolved_copy(evaluation.root(), options);
  }
  root = std::move(resolved);
}

Node to_container(const Node& root, const ContainerOptions& options, const ResolverRegistry& resolvers) {
  return to_container(root, "", options, resolvers);
}

namespace {

Node plain_copy(const Node& node, const std::string& full_key, const ContainerOptions& options) {
  if (node.is_scalar()) {
    if (options.throw_on_missing && node.is_missing()) {
      throw ConfigError("MissingMandatoryValue", "Missing mandatory value: " + full_key, full_key)
          .with_where(node.origin());
    }
    return Node::scalar(node.value(), node.origin());
  }
  Node copy = node.is_list() ? Node::list(node.origin()) : Node::map(node.origin());
  for (size_t i = 0; i < node.items().size(); ++i) {
    copy.append(plain_copy(node.items()[i], join_full_key(full_key, i), options));
  }
  for (const auto& [key, value] : node.entries()) {
    copy.set(key, plain_copy(value, join_full_key(full_key, key), options));
  }
  return copy;
}

void collect_missing(Evaluation& evaluation, const Place* place, std::vector<std::string>* keys) {
  const Node& node = *place->node;
  const auto visit = [&](const Place* child) {
    if (child->node->is_missing()) {
      keys->push_back(child->full_key());
      return;
    }
    const Place* target = evaluation.dereference(child);
    if (!target->node->is_scalar()) collect_missing(evaluation, target, keys);
  };
  for (size_t i = 0; i < node.items().size(); ++i) visit(evaluation.list_child(place, i));
  for (const auto& [key, value] : node.entries()) visit(evaluation.map_child(place, key, value));
}

}  // namespace

Node to_container(const Node& root, std::string_view path, const ContainerOptions& options,
                  const ResolverRegistry& resolvers) {
  if (!options.resolve) {
    const Node* node = find_path(root, path);
    if (node == nullptr) throw ConfigError("ConfigKeyError", "Missing key " + std::string(path), std::string(path));
    return plain_copy(*node, std::string(path), options);
  }
  Evaluation evaluation(root, resolvers);
  const Place* place = evaluation.root();
  if (!path.empty()) {
    for (const auto& part : split_path(path)) place = step(evaluation, evaluation.dereference(place), Key(part));
  }
  Evaluation::CopyOptions copy;
  copy.plain = true;
  copy.missing = options.throw_on_missing ? Evaluation::OnMissing::kThrow : Evaluation::OnMissing::kKeep;
  return evaluation.resolved_copy(place, copy);
}

std::vector<std::string> missing_keys(const Node& root, const ResolverRegistry& resolvers) {
  Evaluation evaluation(root, resolvers);
  std::vector<std::string> keys;
  collect_missing(evaluation, evaluation.root(), &keys);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace fathom::config
