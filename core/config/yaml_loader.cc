#include "core/config/yaml_loader.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/file.h"
#include "core/config/access.h"
#include "core/config/base64.h"
#include "core/config/errors.h"
#include "core/config/interpolation.h"
#include "core/config/python_text.h"
#include "core/config/yaml_scanner.h"

namespace fathom::config {
namespace {

using Kind = YamlTokenKind;

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

struct Anchor {
  Node node;
  size_t nodes = 0;  // in the subtree
  bool complete = false;
  bool plain_merge = false;
  YamlMark mark;
};

size_t count_nodes(const Node& node) {
  size_t count = 1;
  for (const auto& item : node.items()) count += count_nodes(item);
  for (const auto& [key, value] : node.entries()) count += count_nodes(value);
  return count;
}

class Loader {
 public:
  Loader(std::string_view text, const std::string& source_name, const LoadOptions& options)
      : scanner_(text, source_name), source_(intern_source(source_name)), options_(options) {}

  // Null for a text without a document. `quoted` tells whether the document is one quoted scalar.
  Node load() {
    std::map<std::string, std::string> declared;
    bool directives = false;
    if (scanner_.next_is(Kind::kDocumentEnd)) throw unexpected("expected a document before its end");
    while (scanner_.next_is(Kind::kDirective)) {
      const YamlToken token = scanner_.take();
      directives = true;
      if (token.text == "YAML" && token.handle != "1") {
        throw scanner_.error("ParserError", "found incompatible YAML document (version 1.* is required)", token.start);
      }
      if (token.text.rfind("TAG ", 0) == 0 && !declared.emplace(token.handle, token.text.substr(4)).second) {
        throw scanner_.error("ParserError", "duplicate tag handle '" + token.handle + "'", token.start);
      }
    }
    for (auto& [handle, prefix] : declared) handles_[handle] = prefix;
    const bool explicit_start = scanner_.next_is(Kind::kDocumentStart);
    if (directives && !explicit_start) throw unexpected("expected '---' after the directives");
    if (explicit_start) scanner_.take();
    if (scanner_.next_is(Kind::kStreamEnd)) return Node();
    Node root;
    if (!(explicit_start && (scanner_.next_is(Kind::kDocumentStart) || scanner_.next_is(Kind::kDocumentEnd) ||
                             scanner_.next_is(Kind::kDirective)))) {
      root = parse_node(true, false);
    }
    while (scanner_.next_is(Kind::kDocumentEnd)) scanner_.take();
    if (scanner_.next_is(Kind::kDocumentStart) || scanner_.next_is(Kind::kDirective)) {
      throw scanner_
          .error("ComposerError", "expected a single document in the stream, but found another document",
                 scanner_.peek().start)
          .with_next("a config file holds one document: split the file");
    }
    if (!scanner_.next_is(Kind::kStreamEnd)) throw unexpected("expected the end of the document");
    return root;
  }

 private:
  struct Properties {
    std::optional<std::string> anchor, tag;
    YamlMark start;
  };

  ConfigError unexpected(const std::string& what) {
    const YamlToken& token = scanner_.peek();
    return scanner_.error("ParserError", what + ", but found " + std::string(token_name(token.kind)), token.start);
  }

  Origin origin(const YamlMark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }

  void warn(const YamlMark& mark, const std::string& text) const {
    if (options_.warnings != nullptr) options_.warnings->push_back(origin(mark).text() + ": " + text);
  }

  std::string resolve_tag(const YamlToken& token) {
    if (token.handle.empty()) return token.text;
    const auto found = handles_.find(token.handle);
    if (found == handles_.end()) {
      throw scanner_.error("ParserError", "found undefined tag handle '" + token.handle + "'", token.start);
    }
    return found->second + token.text;
  }

  Properties parse_properties() {
    Properties properties;
    properties.start = scanner_.peek().start;
    for (int i = 0; i < 2; ++i) {
      if (scanner_.next_is(Kind::kAnchor) && !properties.anchor) {
        properties.anchor = scanner_.take().text;
      } else if (scanner_.next_is(Kind::kTag) && !properties.tag) {
        properties.tag = resolve_tag(scanner_.take());
      }
    }
    return properties;
  }

  Node expand_alias(bool* is_merge) {
    const YamlToken token = scanner_.take();
    const auto found = anchors_.find(token.text);
    if (found == anchors_.end()) {
      throw scanner_.error("ComposerError", "found undefined alias '" + token.text + "'", token.start);
    }
    if (!found->second.complete) {
      throw scanner_.error("ComposerError", "alias '" + token.text + "' stands inside what it names", token.start)
          .with_next("a config cannot contain itself");
    }
    alias_nodes_ += found->second.nodes;
    if (alias_nodes_ > options_.max_alias_nodes) {
      throw scanner_.error("ComposerError",
                           "aliases expand to more than " + std::to_string(options_.max_alias_nodes) + " values",
                           token.start);
    }
    if (is_merge != nullptr) *is_merge = found->second.plain_merge;
    return found->second.node;
  }

  // `is_merge` (keys only) receives whether the node is the plain scalar "<<".
  Node parse_node(bool block, bool indentless, bool* is_merge = nullptr) {
    if (scanner_.next_is(Kind::kAlias)) return expand_alias(is_merge);
    Properties properties;
    if (scanner_.next_is(Kind::kAnchor) || scanner_.next_is(Kind::kTag)) {
      properties = parse_properties();
    } else {
      properties.start = scanner_.peek().start;
    }
    if (properties.anchor) {
      const auto [place, added] = anchors_.try_emplace(*properties.anchor);
      if (!added) {
        throw scanner_.error("ComposerError",
                             "found duplicate anchor '" + *properties.anchor + "'; first occurrence in line " +
                                 std::to_string(place->second.mark.line + 1),
                             properties.start);
      }
      place->second.mark = properties.start;
    }
    bool merge = false;
    Node node = parse_content(properties, block, indentless, is_merge == nullptr ? nullptr : &merge);
    if (is_merge != nullptr) *is_merge = merge;
    if (properties.anchor) {
      auto& anchor = anchors_[*properties.anchor];
      anchor.node = node;
      anchor.nodes = count_nodes(node);
      anchor.plain_merge = merge;
      anchor.complete = true;
    }
    return node;
  }

  Node parse_content(const Properties& properties, bool block, bool indentless, bool* is_merge) {
    const YamlToken& next = scanner_.peek();
    switch (next.kind) {
      case Kind::kScalar: {
        YamlToken token = scanner_.take();
        const bool plain = (token.plain && !properties.tag) || properties.tag == "!";
        if (is_merge != nullptr && plain && token.text == "<<") {
          *is_merge = true;
          return Node::scalar(std::move(token.text), origin(token.start));
        }
        // PyYAML knows the lone '=' of YAML 1.1 as a key only.
        if (is_merge != nullptr && plain && token.text == "=")
          return Node::scalar(std::move(token.text), origin(token.start));
        return make_scalar(std::move(token.text), plain, properties, token.start);
      }
      case Kind::kBlockEntry:
        if (!indentless) break;
        return as_pairs(properties, parse_block_sequence(origin(properties.start), true));
      case Kind::kBlockSequenceStart:
        if (!block) break;
        scanner_.take();
        return as_pairs(properties, parse_block_sequence(origin(properties.start), false));
      case Kind::kBlockMappingStart:
        if (!block) break;
        check_tag(properties, "map");
        scanner_.take();
        return parse_block_mapping(properties.start);
      case Kind::kFlowSequenceStart: return as_pairs(properties, parse_flow_sequence(properties.start));
      case Kind::kFlowMappingStart: check_tag(properties, "map"); return parse_flow_mapping(properties.start);
      default: break;
    }
    if (properties.anchor || properties.tag) {
      return make_scalar({}, !properties.tag || properties.tag == "!", properties, properties.start);
    }
    throw unexpected(block ? "expected the content of a value"
                           : "while parsing a flow node: expected the node content");
  }

  // !!pairs and !!omap: a list of one-key mappings becomes a list of [key, value].
  Node as_pairs(const Properties& properties, Node list) {
    if (properties.tag != std::string(kTagPrefix) + "pairs" && properties.tag != std::string(kTagPrefix) + "omap") {
      check_tag(properties, "seq");
      return list;
    }
    for (auto& item : list.items()) {
      if (!item.is_map() || item.size() != 1) {
        throw scanner_.error("ConstructorError", "expected a mapping of one key in " + *properties.tag,
                             properties.start);
      }
      Node pair = Node::list(item.origin());
      pair.append(Node::scalar(item.entries()[0].first.value, item.origin()));
      pair.append(item.entries()[0].second);
      item = std::move(pair);
    }
    return list;
  }

  void check_tag(const Properties& properties, std::string_view wanted) {
    if (!properties.tag || *properties.tag == "!" || *properties.tag == std::string(kTagPrefix) + std::string(wanted)) {
      return;
    }
    throw scanner_
        .error("ConstructorError", "could not determine a constructor for the tag '" + *properties.tag + "'",
               properties.start)
        .with_expected("no tag, or !!" + std::string(wanted));
  }

  Node make_scalar(std::string text, bool plain, const Properties& properties, const YamlMark& mark) {
    try {
      Scalar value;
      if (plain) {
        value = parse_plain_scalar(text);
        if (options_.warnings != nullptr) warn_about_number(text, value, mark);
      } else if (!properties.tag) {
        value = std::move(text);
      } else {
        value = construct_tagged(*properties.tag, text);
      }
      Node node = Node::scalar(std::move(value), origin(mark));
      return node;
    } catch (const ConfigError& problem) {
      rethrow_here(problem, origin(mark));
    }
  }

  [[noreturn]] void rethrow_here(const ConfigError& problem, const Origin& where) const {
    throw ConfigError(problem.kind(), problem.bare_message(), full_key())
        .with_where(where)
        .with_expected(problem.expected())
        .with_next(problem.next());
  }

  void warn_about_number(const std::string& text, const Scalar& value, const YamlMark& mark) const {
    if (std::holds_alternative<std::string>(value) || text.empty()) return;
    if (text.find(':') != std::string::npos) {
      warn(mark, "'" + text + "' is read as a base-60 number (YAML 1.1); quote it if it is a time or text");
    } else if (const auto* integer = std::get_if<int64_t>(&value)) {
      const size_t digit = text.find_first_not_of("+-");
      if (*integer != 0 && text[digit] == '0' && text[digit + 1] != 'x' && text[digit + 1] != 'b') {
        warn(mark, "'" + text + "' is read as an octal number (YAML 1.1): " + std::to_string(*integer) +
                       "; quote it if it is text");
      }
    }
  }

  static Scalar construct_tagged(const std::string& tag, const std::string& text) {
    const std::string_view name =
        tag.rfind(kTagPrefix, 0) == 0 ? std::string_view(tag).substr(kTagPrefix.size()) : std::string_view();
    const auto bad = [&](const char* kind, const char* what) {
      return ConfigError(kind, "'" + text + "' is no " + what)
          .with_expected("a value that fits the tag !!" + std::string(name));
    };
    if (name == "str") return text;
    if (name == "null") return std::monostate{};
    if (name == "binary") {
      const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
      std::optional<std::string> bytes = ascii ? decode_base64(text) : std::nullopt;
      if (!bytes) throw bad("ConstructorError", "base64 text");
      return Bytes{std::move(*bytes)};
    }
    if (name == "bool") {
      std::string lower;
      for (const char c : text) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      for (const char* word : {"yes", "true", "on"}) {
        if (lower == word) return true;
      }
      for (const char* word : {"no", "false", "off"}) {
        if (lower == word) return false;
      }
      throw bad("ConstructorError", "boolean");
    }
    if (name == "int" || name == "float") {
      const Scalar value = parse_plain_scalar(text);
      std::string digits;
      for (const char c : text) {
        if (c != '_') digits += c;
      }
      if (name == "int") {
        if (std::holds_alternative<int64_t>(value)) return value;
        const auto integer = python_int(digits);
        if (!integer || digits[digits.find_first_not_of("+-")] == '0') throw bad("ValueError", "integer");
        return *integer;
      }
      if (std::holds_alternative<double>(value)) return value;
      if (std::holds_alternative<int64_t>(value) && text.find(':') != std::string::npos) {
        return static_cast<double>(std::get<int64_t>(value));
      }
      const auto number = python_float(digits);
      if (!number) throw bad("ValueError", "float");
      return *number;
    }
    throw ConfigError("ConstructorError", "could not determine a constructor for the tag '" + tag + "'")
        .with_expected("one of !!str, !!int, !!float, !!bool, !!null, !!binary, or no tag");
  }

  // A container being read: guards the recursion, and knows the way to the value at hand for error messages.
  class Level {
   public:
    Level(Loader& loader, const YamlMark& mark) : loader_(loader), above_(loader.level_) {
      loader_.level_ = this;
      if (++loader_.depth_ > loader_.options_.max_depth) {
        throw loader_.scanner_.error(
            "ComposerError", "nested deeper than " + std::to_string(loader_.options_.max_depth) + " levels", mark);
      }
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

  std::string full_key() const { return level_ == nullptr ? std::string() : level_->full_key(); }

  Node empty(const YamlMark& mark) const { return Node::scalar(std::monostate{}, origin(mark)); }

  Node parse_block_sequence(Origin where, bool indentless) {
    Level level(*this, scanner_.peek().start);
    Node list = Node::list(where);
    while (scanner_.next_is(Kind::kBlockEntry)) {
      const YamlMark end = scanner_.take().end;
      const Kind next = scanner_.peek().kind;
      const bool nothing = next == Kind::kBlockEntry || next == Kind::kBlockEnd ||
                           (indentless && (next == Kind::kKey || next == Kind::kValue));
      list.append(nothing ? empty(end) : checked(parse_node(true, false)));
      ++level.index;
    }
    if (!indentless) {
      if (!scanner_.next_is(Kind::kBlockEnd)) throw unexpected("while parsing a list: expected '- ' or its end");
      scanner_.take();
    }
    return list;
  }

  Node parse_block_mapping(const YamlMark& start) {
    Level level(*this, start);
    MapBuilder map(*this, start);
    level.key = &map.current_key();
    while (scanner_.next_is(Kind::kKey) || scanner_.next_is(Kind::kValue)) {
      if (scanner_.next_is(Kind::kValue)) {  // ": value" without a key
        throw unexpected("while parsing a block mapping: expected a key");
      }
      const YamlMark key_end = scanner_.take().end;
      const auto at_end = [&] {
        const Kind next = scanner_.peek().kind;
        return next == Kind::kKey || next == Kind::kValue || next == Kind::kBlockEnd;
      };
      if (at_end()) {
        map.key(empty(key_end), false, key_end);
      } else {
        parse_key(map, true);
      }
      Node value;
      if (scanner_.next_is(Kind::kValue)) {
        const YamlMark end = scanner_.take().end;
        value = at_end() ? empty(end) : parse_node(true, true);
      } else {
        value = empty(scanner_.peek().start);
      }
      map.value(std::move(value));
    }
    if (!scanner_.next_is(Kind::kBlockEnd))
      throw unexpected("while parsing a block mapping: expected a key or its end");
    scanner_.take();
    return map.finish();
  }

  Node parse_flow_sequence(const YamlMark& start) {
    Level level(*this, start);
    scanner_.take();
    Node list = Node::list(origin(start));
    bool first = true;
    while (!scanner_.next_is(Kind::kFlowSequenceEnd)) {
      if (!first) {
        if (!scanner_.next_is(Kind::kFlowEntry)) {
          throw unexpected("while parsing a flow sequence: expected ',' or ']'");
        }
        scanner_.take();
        if (scanner_.next_is(Kind::kFlowSequenceEnd)) break;
      }
      first = false;
      if (scanner_.next_is(Kind::kKey)) {  // [a: 1]
        const YamlMark mark = scanner_.peek().start;
        MapBuilder map(*this, mark);
        parse_flow_pair(map, Kind::kFlowSequenceEnd);
        list.append(map.finish());
      } else {
        list.append(checked(parse_node(false, false)));
      }
      ++level.index;
    }
    scanner_.take();
    return list;
  }

  Node parse_flow_mapping(const YamlMark& start) {
    Level level(*this, start);
    scanner_.take();
    MapBuilder map(*this, start);
    level.key = &map.current_key();
    bool first = true;
    while (!scanner_.next_is(Kind::kFlowMappingEnd)) {
      if (!first) {
        if (!scanner_.next_is(Kind::kFlowEntry)) throw unexpected("while parsing a flow mapping: expected ',' or '}'");
        scanner_.take();
        if (scanner_.next_is(Kind::kFlowMappingEnd)) break;
      }
      first = false;
      if (scanner_.next_is(Kind::kKey)) {
        parse_flow_pair(map, Kind::kFlowMappingEnd);
      } else {  // {a, b}: keys without values
        parse_key(map, false);
        map.value(empty(scanner_.peek().start));
      }
    }
    scanner_.take();
    return map.finish();
  }

  template <typename Map>
  void parse_flow_pair(Map& map, Kind end) {
    const YamlMark key_end = scanner_.take().end;
    const auto at_end = [&] { return scanner_.next_is(Kind::kFlowEntry) || scanner_.next_is(end); };
    if (scanner_.next_is(Kind::kValue) || at_end()) {
      map.key(empty(key_end), false, key_end);
    } else {
      parse_key(map, false);
    }
    Node value = empty(scanner_.peek().start);
    if (scanner_.next_is(Kind::kValue)) {
      const YamlMark mark = scanner_.take().end;
      value = at_end() ? empty(mark) : parse_node(false, false);
    }
    map.value(std::move(value));
  }

  template <typename Map>
  void parse_key(Map& map, bool block) {
    const YamlMark mark = scanner_.peek().start;
    bool merge = false;
    Node key = parse_node(block, block, &merge);
    map.key(std::move(key), merge, mark);
  }

  // A string with ${ must be an interpolation, or OmegaConf refuses the file.
  Node checked(Node node) {
    if (options_.check_interpolations && node.is_interpolation()) {
      try {
        check_interpolation(std::get<std::string>(node.value()));
      } catch (const ConfigError& problem) {
        rethrow_here(problem, node.origin());
      }
    }
    return node;
  }

  // Collects the pairs of one mapping: duplicate keys, key types, merge keys.
  class MapBuilder {
   public:
    MapBuilder(Loader& loader, const YamlMark& start)
        : loader_(loader), start_(start), map_(Node::map(loader.origin(start))) {}

    void key(Node key, bool merge, const YamlMark& mark) {
      mark_ = mark;
      merge_ = merge;
      if (merge) return;
      if (!key.is_scalar()) {
        throw loader_.scanner_.error("ConstructorError", "while constructing a mapping: found unhashable key", mark)
            .with_expected("a string, number or boolean as a key");
      }
      if (key.is_null()) {
        throw loader_.scanner_.error("KeyValidationError", "Incompatible key type 'NoneType'", mark)
            .with_next("quote the key to make it a string");
      }
      key_ = std::move(key);
    }

    void value(Node value) {
      if (merge_) return add_merged(std::move(value));
      value = loader_.checked(std::move(value));
      Key key(key_.value());
      if (key_.is_string()) {
        const auto& name = std::get<std::string>(key_.value());
        if (map_.find(name) != nullptr) {
          const Origin first = key_origin(name);
          throw loader_.scanner_
              .error("ConstructorError", "while constructing a mapping: found duplicate key " + name, mark_)
              .with_seen("first in line " + std::to_string(first.line) + ", again in line " +
                         std::to_string(mark_.line + 1))
              .with_next("remove one of them, or check the indentation");
        }
        if (loader_.options_.warnings != nullptr && name.find('.') != std::string::npos) {
          loader_.warn(mark_, "key '" + name + "' contains a dot: it makes one key of that name, not a nested value");
        }
        key_lines_.emplace_back(mark_.line + 1);
        map_.set(std::move(key), std::move(value));
        return;
      }
      for (auto& entry : map_.mutable_entries()) {  // numbers and booleans: the last one wins, in the first one's place
        if (same_python_key(entry.first, key)) {
          entry.second = std::move(value);
          return;
        }
      }
      key_lines_.emplace_back(mark_.line + 1);
      map_.set(std::move(key), std::move(value));
    }

    const Node& current_key() const { return key_; }

    Node finish() {
      if (merged_.entries().empty()) return std::move(map_);
      // Merged keys come first; the mapping's own replace them in place.
      Node result = std::move(merged_);
      result.set_origin(map_.origin());
      for (auto& [key, value] : map_.mutable_entries()) set_python(result, key, std::move(value));
      return result;
    }

   private:
    static void set_python(Node& map, const Key& key, Node value) {
      if (!std::holds_alternative<std::string>(key.value)) {
        for (auto& entry : map.mutable_entries()) {
          if (same_python_key(entry.first, key)) {
            entry.second = std::move(value);
            return;
          }
        }
      }
      map.set(key, std::move(value));
    }

    Origin key_origin(const std::string& name) const {
      size_t position = 0;
      for (const auto& [key, value] : map_.entries()) {
        if (key.is_string(name)) break;
        ++position;
      }
      return {nullptr, position < key_lines_.size() ? key_lines_[position] : 0, 0};
    }

    void add_merged(Node value) {
      if (value.is_map()) {
        merge_map(value);
        return;
      }
      if (!value.is_list()) {
        throw loader_.scanner_.error("ConstructorError",
                                     "expected a mapping or list of mappings for merging, but found a "
                                     "scalar",
                                     mark_);
      }
      // The first of several wins, so the last is laid down first.
      for (auto it = value.items().rbegin(); it != value.items().rend(); ++it) {
        if (!it->is_map()) {
          throw loader_.scanner_.error(
              "ConstructorError",
              "expected a mapping for merging, but found " + std::string(it->is_list() ? "a sequence" : "a scalar"),
              mark_);
        }
        merge_map(*it);
      }
    }

    void merge_map(const Node& value) {
      for (const auto& [key, node] : value.entries()) set_python(merged_, key, node);
    }

    Loader& loader_;
    YamlMark start_, mark_;
    Node map_, key_;
    Node merged_ = Node::map();
    std::vector<int32_t> key_lines_;
    bool merge_ = false;
  };

  YamlScanner scanner_;
  const std::string* source_;
  const LoadOptions& options_;
  std::map<std::string, std::string> handles_ = {{"!", "!"}, {"!!", std::string(kTagPrefix)}};
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
