#include "core/config/evaluation.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/printer.h"
#include "core/config/python_text.h"
#include "core/config/schema.h"

namespace fathom::config {
namespace {

// Enough for any real config; far from exhausting the stack.
constexpr size_t kDeepestChain = 200;
constexpr size_t kDeepestCopy = 250;     // a resolver may make containers that ask for themselves without an end
constexpr size_t kMostValues = 300'000;  // followed or copied in one read
constexpr size_t kMostBytes = 16 << 20;  // of the texts put together in one read

std::string type_name(const Node& node) {
  if (node.is_map()) return "DictConfig";
  if (node.is_list()) return "ListConfig";
  static constexpr const char* kNames[] = {"NoneType", "bool", "int", "float", "str", "bytes", "Enum"};
  return kNames[node.value().index()];
}

[[noreturn]] void rethrow_at(const ConfigError& cause, const std::string& kind, const std::string& message,
                             const Place* place) {
  throw ConfigError(kind, message, place->full_key())
      .with_cause(cause.kind())
      .with_where(place->node->origin())
      .with_seen(place->node->is_string() ? std::get<std::string>(place->node->value()) : std::string())
      .with_next(cause.next());
}

}  // namespace

std::string Place::full_key() const {
  if (parent == nullptr) return {};
  const std::string above = parent->full_key();
  return parent->node->is_map() && key != nullptr ? join_full_key(above, *key) : join_full_key(above, index);
}

const Place* Evaluation::add(Place place) {
  if (used_ < first_.size()) {
    first_[used_] = place;
    return &first_[used_++];
  }
  if (!more_) more_ = std::make_unique<std::deque<Place>>();
  more_->push_back(place);
  return &more_->back();
}

void Evaluation::spend(size_t values, size_t bytes, const Place* place) {
  spent_values_ += values;
  spent_bytes_ += bytes;
  if (spent_values_ <= kMostValues && spent_bytes_ <= kMostBytes) return;
  throw ConfigError("InterpolationResolutionError",
                    "interpolations expand to more than " + (spent_values_ > kMostValues
                                                                 ? std::to_string(kMostValues) + " values"
                                                                 : std::to_string(kMostBytes) + " bytes of text"),
                    place->full_key())
      .with_where(place->node->origin())
      .with_next("values that name others several times double with every line: write them out");
}

void Evaluation::spend(const Node& node, const Place* place) {
  spend(1, node.is_string() ? std::get<std::string>(node.value()).size() : 0, place);
  for (const auto& item : node.items()) spend(item, place);
  for (const auto& [key, value] : node.entries()) spend(value, place);
}

const Place* Evaluation::temporary(const Place* at, Node value) {
  values_.push_back(std::move(value));
  Place place = *at;
  place.node = &values_.back();
  place.temporary = true;
  return add(place);
}

const Place* Evaluation::child(const Place* container, std::string_view key) {
  const Node& node = *container->node;
  if (node.is_map()) {
    if (const Node* found = node.find(key)) {
      // The key object lives beside the value, in the same entry.
      const auto offset = reinterpret_cast<const char*>(found) - reinterpret_cast<const char*>(node.entries().data());
      return map_child(container, node.entries()[static_cast<size_t>(offset) / sizeof(Node::Entry)].first, *found);
    }
    if (!node.schema) return nullptr;
    // Typed keys: an enum's member by name.
    for (const auto& entry : node.entries()) {
      if (std::holds_alternative<EnumMember>(entry.first.value) &&
          std::get<EnumMember>(entry.first.value).name == key) {
        return map_child(container, entry.first, entry.second);
      }
    }
    return nullptr;
  }
  if (node.is_list()) {
    const auto index = python_int(key);
    if (!index) {
      throw ConfigError("ConfigTypeError", "Index '" + std::string(key) + "' (str) is not an int",
                        join_full_key(container->full_key(), Key(key)))
          .with_where(node.origin());
    }
    if (*index < 0 || static_cast<size_t>(*index) >= node.size()) return nullptr;
    return list_child(container, static_cast<size_t>(*index));
  }
  return nullptr;
}

const Place* Evaluation::select(const Place* start, std::string_view key, Missing missing) {
  const Place* place = root_;
  if (!key.empty() && key[0] == '.') {
    const std::string_view whole = key;
    place = start;
    key.remove_prefix(1);
    while (!key.empty() && key[0] == '.') {
      key.remove_prefix(1);
      place = place->parent;
      if (place == nullptr) throw ConfigError("ConfigKeyError", "Error resolving key '" + std::string(whole) + "'");
    }
    if (key.empty()) return place;
  } else if (key.empty()) {
    return place;
  }
  const std::vector<std::string> parts = split_path(key);
  for (size_t i = 0; i < parts.size(); ++i) {
    place = dereference(place);
    if (place->node->is_scalar()) {
      if (place->node->is_null()) return nullptr;
      if (place->node->is_missing()) return nullptr;
      throw PathThroughValueError(key, place->full_key(), parts[i], place->node->origin());
    }
    place = child(place, parts[i]);
    if (place == nullptr) return nullptr;
    if (place->node->is_missing()) {
      if (missing == Missing::kThrow) {
        throw ConfigError("MissingMandatoryValue", "Missing mandatory value: " + place->full_key())
            .with_where(place->node->origin());
      }
      if (i + 1 < parts.size()) return nullptr;
      return place;
    }
  }
  return dereference(place);
}

const Place* Evaluation::dereference(const Place* place) {
  if (!place->node->is_interpolation() || place->temporary) return place;
  if (active_.size() > kDeepestChain || std::find(active_.begin(), active_.end(), place->node) != active_.end()) {
    throw ConfigError("InterpolationResolutionError", "Recursive interpolation detected", place->full_key())
        .with_where(place->node->origin());
  }
  spend(1, 0, place);
  active_.push_back(place->node);
  const Place* result = nullptr;
  try {
    result = convert_result(resolve_string(std::get<std::string>(place->node->value()), place), place);
  } catch (...) {
    active_.pop_back();
    throw;
  }
  active_.pop_back();
  return result;
}

const Place* Evaluation::resolve_string(const std::string& text, const Place* place) {
  // ${a.b} alone, plain names: no parse tree needed.
  if (text.size() > 3 && text[0] == '$' && text[1] == '{' && text.back() == '}') {
    bool plain = true;
    for (size_t i = 2; i + 1 < text.size() && plain; ++i) {
      const char c = text[i];
      plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              (c == '.' && text[i + 1] != '}' && (text[i + 1] != '.' || i == 2));
    }
    if (plain) {
      return follow_key(text.substr(2, text.size() - 3), place);
    }
  }
  try {
    return evaluate_text(parse_interpolation_text(text), place);
  } catch (const ConfigError& problem) {
    if (problem.kind() == "GrammarParseError" && problem.full_key().empty()) {
      rethrow_at(problem, problem.kind(), problem.bare_message(), place);
    }
    throw;
  }
}

const Place* Evaluation::evaluate_text(const std::vector<TextPart>& parts, const Place* place) {
  if (parts.size() == 1 && parts[0].interpolation) return evaluate(*parts[0].interpolation, place);
  return temporary(place, Node::scalar(join_parts(parts, place), place->node->origin()));
}

std::string Evaluation::join_parts(const std::vector<TextPart>& parts, const Place* place) {
  std::string joined;
  for (const auto& part : parts) {
    const std::string piece = part.interpolation ? python_str(*evaluate(*part.interpolation, place)->node) : part.text;
    spend(0, piece.size(), place);
    joined += piece;
  }
  return joined;
}

const Place* Evaluation::evaluate(const Interpolation& interpolation, const Place* place) {
  std::string name;
  for (const auto& part : interpolation.name) {
    if (!part.interpolation) {
      name += part.text;
      continue;
    }
    const Node& value = *evaluate(*part.interpolation, place)->node;
    if (!value.is_string()) {
      throw ConfigError("InterpolationResolutionError",
                        "The following interpolation is used to denote a config key and thus should return a string, "
                        "but instead returned `" +
                            python_str(value) + "` of type `" + type_name(value) + "`",
                        place->full_key())
          .with_where(place->node->origin());
    }
    name += std::get<std::string>(value.value());
  }
  return interpolation.is_resolver ? call_resolver(name, interpolation, place) : follow_key(name, place);
}

const Place* Evaluation::follow_key(const std::string& key, const Place* place) {
  const Place* found = nullptr;
  try {
    found = select(container_of(place), key, Missing::kThrow);
  } catch (const ConfigError& problem) {
    if (problem.kind() == "MissingMandatoryValue") {
      rethrow_at(problem, "InterpolationToMissingValueError",
                 "MissingMandatoryValue while resolving interpolation: " + problem.bare_message(), place);
    }
    if (problem.kind() == "ConfigKeyError") {
      rethrow_at(problem, "InterpolationKeyError",
                 "ConfigKeyError while resolving interpolation: " + problem.bare_message(), place);
    }
    if (problem.kind() == "ConfigTypeError") {
      rethrow_at(problem, "InterpolationResolutionError",
                 "ConfigTypeError raised while resolving interpolation: " + problem.bare_message(), place);
    }
    if (problem.kind() == "InterpolationToMissingValueError" || problem.full_key() == place->full_key()) throw;
    rethrow_at(problem, problem.kind(), problem.bare_message(), place);
  }
  if (found == nullptr) {
    const std::string_view last = key[0] == '.' ? std::string_view(key).substr(key.find_first_not_of('.')) : key;
    std::vector<std::string> candidates;
    const size_t dot = last.rfind('.');
    const Place* container = nullptr;
    try {
      std::string above(key.substr(0, key.size() - last.size()));
      if (dot != std::string_view::npos) above += last.substr(0, dot);
      container = select(container_of(place), above.empty() ? std::string_view() : above, Missing::kReturn);
    } catch (const ConfigError&) {
      container = nullptr;  // only for the hint
    }
    if (container != nullptr && container->node->is_map()) {
      const auto wanted = dot == std::string_view::npos ? last : last.substr(dot + 1);
      candidates = nearest_keys(*container->node, wanted);
    }
    throw ConfigError("InterpolationKeyError", "Interpolation key '" + key + "' not found", place->full_key())
        .with_where(place->node->origin())
        .with_candidates(candidates);
  }
  for (const Place* up = place->parent; up != nullptr && !found->node->is_scalar(); up = up->parent) {
    if (up->node != found->node) continue;
    throw ConfigError("InterpolationResolutionError", "Interpolation to parent node detected", place->full_key())
        .with_where(place->node->origin());
  }
  return found;
}

Node Evaluation::evaluate(const Argument& argument, const Place* place) {
  const Origin origin = place->node->origin();
  switch (argument.kind) {
    case Argument::Kind::kScalar: return Node::scalar(argument.scalar, origin);
    case Argument::Kind::kText: return Node::scalar(join_parts(argument.parts, place), origin);
    case Argument::Kind::kInterpolation: return *evaluate(*argument.parts[0].interpolation, place)->node;
    case Argument::Kind::kList: {
      Node list = Node::list(origin);
      for (const auto& item : argument.items) list.append(evaluate(item, place));
      return list;
    }
    case Argument::Kind::kMap: {
      Node map = Node::map(origin);
      for (const auto& [key, value] : argument.entries) map.set(Key(key), evaluate(value, place));
      return map;
    }
  }
  return Node();
}

const Place* Evaluation::call_resolver(const std::string& name, const Interpolation& interpolation,
                                       const Place* place) {
  const ResolverFunction* function = registry_.find(name);
  if (function == nullptr) {
    throw ConfigError("UnsupportedInterpolationType", "Unsupported interpolation type " + name, place->full_key())
        .with_where(place->node->origin())
        .with_expected("one of " + [&] {
          std::string all;
          for (const auto& known : registry_.names()) all += (all.empty() ? "" : ", ") + known;
          return all;
        }());
  }
  if (interpolation.empty_arguments > 0) {
    log_warning("config", "{}: in ${{{}:…}} some arguments are empty: write '' for an empty string", place->full_key(),
                name);
  }
  std::vector<Node> arguments;
  arguments.reserve(interpolation.arguments.size());
  for (const auto& argument : interpolation.arguments) {
    arguments.push_back(evaluate(argument, place));
    spend(arguments.back(), place);
  }
  try {
    Node made = (*function)(arguments, ResolverContext(*this, place));
    spend(made, place);
    return temporary(place, std::move(made));
  } catch (const ConfigError& problem) {
    const bool from_interpolation =
        problem.kind().rfind("Interpolation", 0) == 0 || problem.kind() == "UnsupportedInterpolationType";
    if (from_interpolation && !problem.full_key().empty()) throw;
    rethrow_at(problem, from_interpolation ? problem.kind() : "InterpolationResolutionError",
               problem.kind() + " raised while resolving interpolation: " + problem.bare_message(), place);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    throw ConfigError("InterpolationResolutionError",
                      "resolver '" + name + "' failed while resolving interpolation: " + problem.what(),
                      place->full_key())
        .with_where(place->node->origin());
  }
}

const Place* Evaluation::convert_result(const Place* result, const Place* place) {
  const SchemaPtr& schema = place->node->schema;
  // As in OmegaConf, what a typed list, map, class or union is an interpolation for is not checked.
  if (!schema || schema->type == Schema::Type::kAny || schema->type >= Schema::Type::kUnion) return result;
  try {
    Node plain = *result->node;
    if (plain.is_scalar()) plain.schema = nullptr;
    Node converted = convert(plain, schema, place->full_key());
    if (result->node->is_scalar() && converted == *result->node) return result;
    return temporary(place, std::move(converted));
  } catch (const ConfigError& problem) {
    throw ConfigError("InterpolationValidationError",
                      "While dereferencing interpolation '" + std::get<std::string>(place->node->value()) +
                          "': " + problem.bare_message(),
                      place->full_key())
        .with_cause(problem.kind())
        .with_where(place->node->origin());
  }
}

Node Evaluation::resolved_copy(const Place* place, const CopyOptions& options) {
  const Place* target = place;
  if (place->node->is_interpolation() && !place->temporary) {
    try {
      target = dereference(place);
    } catch (const ConfigError& problem) {
      if (problem.kind() != "InterpolationToMissingValueError" || options.missing_reference == OnMissing::kThrow) throw;
      Node missing = Node::scalar(std::string("???"), place->node->origin());
      if (!options.plain) missing.schema = place->node->schema;
      return missing;
    }
  }
  const Node& node = *target->node;
  spend(1, node.is_string() ? std::get<std::string>(node.value()).size() : 0, place);
  Node copy;
  struct Copying {
    Copying(std::vector<const Node*>& stack, const Node* node) : stack(stack) { stack.push_back(node); }
    ~Copying() { stack.pop_back(); }
    std::vector<const Node*>& stack;
  };
  if (!node.is_scalar() &&
      (copying_.size() > kDeepestCopy || std::find(copying_.begin(), copying_.end(), &node) != copying_.end())) {
    throw ConfigError("InterpolationResolutionError", "Recursive interpolation detected", place->full_key())
        .with_where(place->node->origin());
  }
  const Copying copying(copying_, &node);
  if (node.is_scalar()) {
    if (node.is_missing() && options.missing == OnMissing::kThrow) {
      throw ConfigError("MissingMandatoryValue", "Missing mandatory value: " + target->full_key(), target->full_key())
          .with_where(node.origin())
          .with_next("set it in the config or on the command line: " + target->full_key() + "=…");
    }
    copy = Node::scalar(node.value(), node.origin());
  } else if (node.is_list()) {
    copy = Node::list(node.origin());
    copy.items().reserve(node.size());
    for (size_t i = 0; i < node.size(); ++i) copy.append(resolved_copy(list_child(target, i), options));
  } else {
    copy = Node::map(node.origin());
    for (const auto& [key, value] : node.entries())
      copy.set(key, resolved_copy(map_child(target, key, value), options));
  }
  if (!options.plain) {
    copy.schema = place->node->schema ? place->node->schema : node.schema;
    copy.struct_flag = node.struct_flag;
    copy.readonly_flag = node.readonly_flag;
  }
  return copy;
}

}  // namespace fathom::config
