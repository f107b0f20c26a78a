#include "core/config/yaml_loader.h"

#include <map>
#include <optional>

#include "core/base/file.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/interpolation.h"
#include "core/config/yaml_events.h"
#include "core/config/yaml_mapping.h"
#include "core/config/yaml_scalar.h"

namespace fathom::config {
namespace {

struct Anchor {
  Node node;
  size_t nodes = 0;  // in the subtree
  bool complete = false;
  bool plain_merge = false;
  int32_t line = 0;
};

size_t count_nodes(const Node& node) {
  size_t count = 1;
  for (const auto& item : node.items()) count += count_nodes(item);
  for (const auto& [key, value] : node.entries()) count += count_nodes(value);
  return count;
}

std::optional<std::string> text_of(const yaml_char_t* text) {
  if (text == nullptr) return std::nullopt;
  return reinterpret_cast<const char*>(text);
}

class Loader {
 public:
  Loader(std::string_view text, const std::string& source_name, const LoadOptions& options)
      : events_(text, source_name), options_(options) {}

  // Null for a text without a document.
  Node load() {
    events_.peek();
    events_.skip();  // the start of the stream
    if (events_.next_is(YAML_STREAM_END_EVENT)) return Node();
    events_.skip();  // the start of the document
    Node root = parse_node();
    events_.peek();
    events_.skip();  // the end of the document
    if (!events_.next_is(YAML_STREAM_END_EVENT)) {
      throw error_here("ComposerError", "expected a single document in the stream, but found another document")
          .with_next("a config file holds one document: split the file");
    }
    return root;
  }

 private:
  // A container being read: guards the recursion, and knows the way to the value at hand for error messages.
  class Level {
   public:
    explicit Level(Loader& loader) : loader_(loader), above_(loader.level_) {
      if (loader.depth_ >= loader.options_.max_depth) {
        throw loader.error_here("ComposerError",
                                "nested deeper than " + std::to_string(loader.options_.max_depth) + " levels");
      }
      ++loader.depth_;
      loader.level_ = this;
    }
    ~Level() {
      --loader_.depth_;
      loader_.level_ = above_;
    }

    std::string full_key() const {
      const std::string above = above_ == nullptr ? std::string() : above_->full_key();
      if (key == nullptr) return join_full_key(above, index);
      return key->is_scalar() ? join_full_key(above, Key(key->value())) : above;
    }

    const Node* key = nullptr;  // null in a list
    size_t index = 0;

   private:
    Loader& loader_;
    const Level* above_;
  };

  ConfigError error_here(const char* kind, std::string what) {
    return ConfigError(kind, std::move(what)).with_where(events_.origin(events_.peek().start_mark));
  }

  [[noreturn]] void rethrow_at(const ConfigError& problem, const Origin& where) const {
    throw ConfigError(problem.kind(), problem.bare_message(), level_ == nullptr ? std::string() : level_->full_key())
        .with_where(where)
        .with_expected(problem.expected())
        .with_next(problem.next());
  }

  Node expand_alias(bool* is_merge) {
    const std::string name = *text_of(events_.peek().data.alias.anchor);
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) throw error_here("ComposerError", "found undefined alias '" + name + "'");
    const Anchor& anchor = found->second;
    if (!anchor.complete) {
      throw error_here("ComposerError", "alias '" + name + "' stands inside what it names")
          .with_next("a config cannot contain itself");
    }
    alias_nodes_ += anchor.nodes;
    if (alias_nodes_ > options_.max_alias_nodes) {
      throw error_here("ComposerError",
                       "aliases expand to more than " + std::to_string(options_.max_alias_nodes) + " values");
    }
    events_.skip();
    if (is_merge != nullptr) *is_merge = anchor.plain_merge;
    return anchor.node;
  }

  // `is_merge` (keys only) receives whether the node is the plain scalar "<<".
  Node parse_node(bool* is_merge = nullptr) {
    const yaml_event_t& event = events_.peek();
    if (event.type == YAML_ALIAS_EVENT) return expand_alias(is_merge);
    const std::optional<std::string> name =
        text_of(event.type == YAML_SCALAR_EVENT           ? event.data.scalar.anchor
                : event.type == YAML_SEQUENCE_START_EVENT ? event.data.sequence_start.anchor
                                                          : event.data.mapping_start.anchor);
    if (!name) return parse_content(is_merge);
    const auto [place, added] = anchors_.try_emplace(*name);
    Anchor& anchor = place->second;
    if (!added) {
      throw error_here("ComposerError", "found duplicate anchor '" + *name + "'; first occurrence in line " +
                                            std::to_string(anchor.line));
    }
    anchor.line = events_.origin(event.start_mark).line;
    bool merge = false;
    Node node = parse_content(is_merge == nullptr ? nullptr : &merge);
    if (is_merge != nullptr) *is_merge = merge;
    anchor.node = node;
    anchor.nodes = count_nodes(node);
    anchor.plain_merge = merge;
    anchor.complete = true;
    return node;
  }

  Node parse_content(bool* is_merge) {
    switch (events_.peek().type) {
      case YAML_SEQUENCE_START_EVENT: return parse_sequence();
      case YAML_MAPPING_START_EVENT: return parse_mapping();
      default: return parse_scalar(is_merge);
    }
  }

  Node parse_scalar(bool* is_merge) {
    const auto& event = events_.peek();
    const auto& scalar = event.data.scalar;
    const std::optional<std::string> tag = text_of(scalar.tag);
    const bool plain = scalar.plain_implicit != 0 || tag == "!";
    const Origin origin = events_.origin(event.start_mark);
    std::string text(reinterpret_cast<const char*>(scalar.value), scalar.length);
    events_.skip();
    if (is_merge != nullptr && plain) {
      *is_merge = text == "<<";
      // PyYAML knows the lone '=' of YAML 1.1 as a key only.
      if (*is_merge || text == "=") return Node::scalar(std::move(text), origin);
    }
    try {
      if (!plain) return Node::scalar(tag ? parse_tagged_scalar(*tag, text) : Scalar(std::move(text)), origin);
      Scalar value = parse_plain_scalar(text);
      if (options_.warnings != nullptr) warn_about_number(text, value, origin);
      return Node::scalar(std::move(value), origin);
    } catch (const ConfigError& problem) {
      rethrow_at(problem, origin);
    }
  }

  void warn_about_number(const std::string& text, const Scalar& value, const Origin& where) const {
    if (std::holds_alternative<std::string>(value) || text.empty()) return;
    const std::string start = where.text() + ": '" + text + "' is read as ";
    if (text.find(':') != std::string::npos) {
      options_.warnings->push_back(start + "a base-60 number (YAML 1.1); quote it if it is a time or text");
    } else if (const auto* integer = std::get_if<int64_t>(&value)) {
      const size_t digit = text.find_first_not_of("+-");
      if (*integer != 0 && text[digit] == '0' && text[digit + 1] != 'x' && text[digit + 1] != 'b') {
        options_.warnings->push_back(start + "an octal number (YAML 1.1): " + std::to_string(*integer) +
                                     "; quote it if it is text");
      }
    }
  }

  void check_tag(const std::optional<std::string>& tag, std::string_view wanted) {
    if (!tag || *tag == "!" || *tag == std::string(kYamlTagPrefix) + std::string(wanted)) return;
    throw error_here("ConstructorError", "could not determine a constructor for the tag '" + *tag + "'")
        .with_expected("no tag, or !!" + std::string(wanted));
  }

  Node parse_sequence() {
    const auto& event = events_.peek();
    const std::optional<std::string> tag = text_of(event.data.sequence_start.tag);
    const bool pairs = tag == std::string(kYamlTagPrefix) + "pairs" || tag == std::string(kYamlTagPrefix) + "omap";
    if (!pairs) check_tag(tag, "seq");
    Level level(*this);
    Node list = Node::list(events_.origin(event.start_mark));
    events_.skip();
    for (; !events_.next_is(YAML_SEQUENCE_END_EVENT); ++level.index) list.append(checked(parse_node()));
    events_.skip();
    if (pairs) split_pairs(*tag, list);
    return list;
  }

  // !!pairs and !!omap: a list of one-key mappings becomes a list of [key, value].
  static void split_pairs(const std::string& tag, Node& list) {
    for (auto& item : list.items()) {
      if (!item.is_map() || item.size() != 1) {
        throw ConfigError("ConstructorError", "expected a mapping of one key in " + tag).with_where(item.origin());
      }
      Node pair = Node::list(item.origin());
      pair.append(Node::scalar(item.entries()[0].first.value, item.origin()));
      pair.append(item.entries()[0].second);
      item = std::move(pair);
    }
  }

  Node parse_mapping() {
    const auto& event = events_.peek();
    check_tag(text_of(event.data.mapping_start.tag), "map");
    Level level(*this);
    YamlMapping map(events_.origin(event.start_mark), options_.warnings);
    level.key = &map.current_key();
    events_.skip();
    while (!events_.next_is(YAML_MAPPING_END_EVENT)) {
      const Origin where = events_.origin(events_.peek().start_mark);
      bool merge = false;
      Node key = parse_node(&merge);
      map.key(std::move(key), merge, where);
      Node value = parse_node();
      map.value(map.merging() ? std::move(value) : checked(std::move(value)));
    }
    events_.skip();
    return map.finish();
  }

  // A string with ${ must be an interpolation, or OmegaConf refuses the file.
  Node checked(Node node) {
    if (options_.check_interpolations && node.is_interpolation()) {
      try {
        check_interpolation(std::get<std::string>(node.value()));
      } catch (const ConfigError& problem) {
        rethrow_at(problem, node.origin());
      }
    }
    return node;
  }

  YamlEvents events_;
  const LoadOptions& options_;
  std::map<std::string, Anchor> anchors_;
  size_t alias_nodes_ = 0;
  size_t depth_ = 0;
  const Level* level_ = nullptr;
};

}  // namespace

Node load_yaml_text(std::string_view text, const std::string& source_name, const LoadOptions& options) {
  Node root = Loader(text, source_name, options).load();
  if (!options.container_only) {
    if (root.is_interpolation() && options.check_interpolations) {
      check_interpolation(std::get<std::string>(root.value()));
    }
    return root;
  }
  if (!root.is_scalar()) return root;
  const Origin origin{intern_source(source_name), 1, 1};
  if (root.is_null()) return Node::map(origin);
  if (root.is_string()) {  // as OmegaConf.create(str): the string is YAML again, and a bare word a key without a value
    const std::string inner_text = std::get<std::string>(root.value());
    Node inner = Loader(inner_text, source_name, options).load();
    if (!inner.is_scalar()) return inner;
    if (inner.is_null()) return Node::map(origin);
    if (inner.is_string()) {
      Node map = Node::map(origin);
      map.set(std::get<std::string>(inner.value()), Node::scalar(std::monostate{}, origin));
      return map;
    }
    root = std::move(inner);
  }
  throw ConfigError("OSError", "the document is a single number or boolean")
      .with_where(root.origin())
      .with_expected("a mapping (`key: value`) or a list");
}

Node load_yaml_file(const std::string& path, const LoadOptions& options) {
  return load_yaml_text(read_file(path), path, options);
}

}  // namespace fathom::config
