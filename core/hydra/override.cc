#include "core/hydra/override.h"

#include "core/config/errors.h"
#include "core/config/python_text.h"
#include "core/hydra/override_message.h"
#include "fathom/utf8.h"

namespace fathom::config {

const std::string* Element::text() const {
  if (is<std::string>()) return &as<std::string>();
  return is<QuotedString>() ? &as<QuotedString>().text : nullptr;
}

bool Override::is_hydra() const { return key.starts_with("hydra.") || key.starts_with("hydra/"); }

std::string Override::key_element() const { return package ? key + "@" + *package : key; }

std::string escape_special_characters(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (std::string_view("\\()[]{}:=, \t").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

namespace {

// The inverse of the parser's un-escaping: quotes get a backslash, backslashes right before a quote are doubled.
std::string with_quotes(const QuotedString& quoted) {
  std::string out(1, quoted.quote);
  const std::string& text = quoted.text;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && text[end] == '\\') ++end;
    const bool before_quote = end == text.size() || text[end] == quoted.quote;
    out.append((end - i) * (before_quote ? 2 : 1), '\\');
    i = end;
    if (i == text.size()) break;
    if (text[i] == quoted.quote) out += '\\';
    out += text[i++];
  }
  return out + quoted.quote;
}

}  // namespace

std::string value_text(const Element& element) {
  if (element.is_null()) return "null";
  if (element.is<bool>()) return element.as<bool>() ? "True" : "False";
  if (element.is<int64_t>()) return std::to_string(element.as<int64_t>());
  if (element.is<double>()) return python_float_text(element.as<double>());
  if (element.is<std::string>()) return escape_special_characters(element.as<std::string>());
  if (element.is<QuotedString>()) return with_quotes(element.as<QuotedString>());
  std::string out;
  if (element.is<ElementList>()) {
    for (const Element& item : element.as<ElementList>()) out += (out.empty() ? "" : ",") + value_text(item);
    return "[" + out + "]";
  }
  if (element.is<ElementMap>()) {
    for (const auto& [key, value] : element.as<ElementMap>()) {
      out += (out.empty() ? "" : ",") + value_text(key) + ":" + value_text(value);
    }
    return "{" + out + "}";
  }
  throw ConfigError("HydraException", "Cannot convert a sweep to text");
}

std::string_view element_type_name(const Element& element) {
  constexpr std::string_view kNames[] = {"NoneType", "bool", "int",         "float",      "str",           "str",
                                         "list",     "dict", "ChoiceSweep", "RangeSweep", "IntervalSweep", "Glob"};
  return kNames[element.value.index()];
}

Origin command_line_origin(std::string_view word) {
  return Origin{.source = intern_source(word), .line = 0, .column = 0};
}

Node to_node(const Element& element, Origin origin) {
  if (const std::string* text = element.text()) return Node::scalar(*text, origin);
  if (element.is<bool>()) return Node::scalar(element.as<bool>(), origin);
  if (element.is<int64_t>()) return Node::scalar(element.as<int64_t>(), origin);
  if (element.is<double>()) return Node::scalar(element.as<double>(), origin);
  if (element.is<ElementList>()) {
    Node list = Node::list(origin);
    for (const Element& item : element.as<ElementList>()) list.append(to_node(item, origin));
    return list;
  }
  if (element.is<ElementMap>()) {
    Node map = Node::map(origin);
    for (const auto& [key, value] : element.as<ElementMap>()) {
      if (key.is_null()) {
        throw ConfigError("KeyValidationError", "Incompatible key type 'NoneType': a key of a map cannot be null");
      }
      map.set(Key(to_node(key, origin).value()), to_node(value, origin));
    }
    return map;
  }
  if (element.is_null()) return Node::scalar(std::monostate{}, origin);
  throw ConfigError("ConfigCompositionException", "a sweep is not a value");
}

std::string quote_character(std::string_view text) {
  if (text.empty()) return "''";
  const auto first = static_cast<unsigned char>(text[0]);
  if (first == '\n') return "'\\n'";
  if (first == '\r') return "'\\r'";
  if (first == '\t') return "'\\t'";
  if (first < 0x20 || first == 0x7f) {
    constexpr char kHex[] = "0123456789abcdef";
    return std::string("'\\x") + kHex[first >> 4] + kHex[first & 15] + "'";
  }
  return "'" + std::string(text.substr(0, utf8::step(text, 0))) + "'";
}

void throw_override_parse_error(std::string_view word, size_t offset, const std::string& what,
                                const std::string& hint) {
  std::string message = "Error parsing override '" + std::string(word) + "'\n" + what;
  if (word.find('\n') == std::string_view::npos) {
    std::string pad;
    for (size_t i = 0; i < offset; ++i) {
      if (!utf8::is_continuation(word[i])) pad += word[i] == '\t' ? '\t' : ' ';
    }
    message += "\n    " + std::string(word) + "\n    " + pad + "^";
  }
  throw ConfigError("OverrideParseException", std::move(message)).with_next(hint);
}

}  // namespace fathom::config
