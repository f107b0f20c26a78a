#include "core/hydra/override_parser.h"

#include <charconv>
#include <limits>

#include "core/hydra/override_functions.h"
#include "core/hydra/override_lexer.h"
#include "core/hydra/override_message.h"
#include "fathom/utf8.h"

namespace fathom::config {
namespace {

// Python compares 1, 1.0 and true as equal keys of a dict; the first one written stays the key.
bool same_python_key(const Element& a, const Element& b) {
  auto number = [](const Element& e) -> std::optional<double> {
    if (e.is<bool>()) return e.as<bool>() ? 1.0 : 0.0;
    if (e.is<int64_t>()) return static_cast<double>(e.as<int64_t>());
    if (e.is<double>()) return e.as<double>();
    return std::nullopt;
  };
  const auto x = number(a), y = number(b);
  if (x && y) return *x == *y;
  if (x || y) return false;
  if (a.is_null() || b.is_null()) return a.is_null() && b.is_null();
  return a.is<std::string>() && b.is<std::string>() && a.as<std::string>() == b.as<std::string>();
}

// Backslashes count only right before a quote: \' is a quote, \\' a backslash and the end.
std::string unescape_quoted(std::string_view text) {
  const char quote = text[0];
  std::string out;
  for (size_t i = 1; i < text.size();) {
    size_t end = i;
    while (end < text.size() && text[end] == '\\') ++end;
    if (end > i && text[end] == quote) {
      out.append((end - i) / 2, '\\');
      if ((end - i) % 2 == 1) {
        out += quote;
        ++end;
      }
      i = end;
      continue;
    }
    if (end > i) {
      out.append(end - i, '\\');
      i = end;
      continue;
    }
    if (i + 1 == text.size()) break;  // the closing quote
    out += text[i++];
  }
  return out;
}

std::string without_underscores(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c != '_') out += c;
  }
  if (!out.empty() && out[0] == '+') out.erase(0, 1);
  return out;
}

class Parser {
 public:
  Parser(std::string_view word, const OverrideParseOptions& options)
      : word_(word),
        previous_word_(options.previous_word),
        lenient_(options.lenient),
        tokens_(lex_override(word, {.lenient = options.lenient})) {}

  Override parse() {
    Override result;
    result.word = std::string(word_);
    if (accept(TokenKind::kTilde)) {
      result.type = OverrideType::kDelete;
    } else if (accept(TokenKind::kPlus)) {
      result.type = accept(TokenKind::kPlus) ? OverrideType::kForceAdd : OverrideType::kAdd;
    }
    parse_key(result);
    if (result.type == OverrideType::kDelete && at(TokenKind::kEnd)) return result;
    if (!accept(TokenKind::kEqual)) {
      if (at(TokenKind::kEnd)) fail("there is no '='", hint_without_equal());
      fail("unexpected " + describe_token(token()) + " in the key");
    }
    result.value_type = ValueType::kElement;
    if (at(TokenKind::kEnd)) {
      result.value = Element{std::string()};
      return result;
    }
    parse_value(result);
    return result;
  }

 private:
  const OverrideToken& token(size_t ahead = 0) const { return tokens_[std::min(index_ + ahead, tokens_.size() - 1)]; }
  bool at(TokenKind kind) const { return token().kind == kind; }
  bool accept(TokenKind kind) {
    if (!at(kind)) return false;
    ++index_;
    return true;
  }
  std::string take() { return std::string(tokens_[index_++].text); }

  [[noreturn]] void fail(const std::string& what, const std::string& hint = {}) const {
    throw_override_parse_error(word_, token().offset, what, hint);
  }

  // A word without '=' right after one that has it is most often the rest of a value with a blank.
  std::string hint_without_equal() const {
    const size_t equal = previous_word_.find('=');
    if (equal == std::string_view::npos) return "write key=value, or ~key to delete";
    const std::string key(previous_word_.substr(0, equal)), begun(previous_word_.substr(equal + 1));
    if (begun.empty()) return "write no blank after '=': " + key + "=" + std::string(word_);
    return "did the shell split the value at a blank? quote it: '" + key + "=" + begun + " " + std::string(word_) + "'";
  }

  [[noreturn]] void fail_unexpected(const std::string& where) const {
    std::string hint;
    if (at(TokenKind::kEqual)) {
      hint = "an '=' inside a value must be escaped (\\=) or the value quoted: key='\"a=b\"'";
    } else if (at(TokenKind::kEnd) && open_ > 0) {
      hint = "did the shell split the word at a blank? quote it: 'key=[1, 2]'";
    } else if (at(TokenKind::kBraceClose)) {
      hint = "nested interpolations must be quoted: key='${a:${b}}'";
    } else if (at(TokenKind::kComma) || at(TokenKind::kBracketClose)) {
      hint = "a list or a sweep has no empty elements; an empty string is ''";
    } else if (at(TokenKind::kQuoted)) {
      hint = "quote the whole value, not a part of it";
    }
    fail("unexpected " + describe_token(token()) + " " + where, hint);
  }

  void parse_key(Override& result) {
    if (at(TokenKind::kId) && token(1).kind == TokenKind::kSlash) {
      result.key = take();
      while (at(TokenKind::kSlash)) {
        result.key += take();
        if (!at(TokenKind::kId)) fail("a name is expected after '/', not " + describe_token(token()));
        result.key += take();
      }
    } else {
      result.key = parse_package();
    }
    if (accept(TokenKind::kAt)) result.package = parse_package();
  }

  std::string parse_package() {
    if (at(TokenKind::kId) || at(TokenKind::kKeySpecial) || at(TokenKind::kDotPath)) return take();
    return {};
  }

  void parse_value(Override& result) {
    result.value = parse_element("in the value");
    if (at(TokenKind::kComma)) {
      ChoiceSweep sweep;
      sweep.simple_form = true;
      sweep.list.push_back(std::move(result.value));
      while (accept(TokenKind::kComma)) sweep.list.push_back(parse_element("in the list of choices"));
      result.value = Element{std::move(sweep)};
    }
    if (!at(TokenKind::kEnd)) fail_unexpected("after the value");
    if (result.value.is<ChoiceSweep>()) {
      result.value_type = result.value.as<ChoiceSweep>().simple_form ? ValueType::kSimpleChoiceSweep  //
                                                                     : ValueType::kChoiceSweep;
    } else if (result.value.is<RangeSweep>()) {
      result.value_type = ValueType::kRangeSweep;
    } else if (result.value.is<IntervalSweep>()) {
      result.value_type = ValueType::kIntervalSweep;
    } else if (result.value.is<Glob>()) {
      result.value_type = ValueType::kGlobChoiceSweep;
    }
  }

  Element parse_element(const std::string& where) {
    if (++depth_ > kMaxDepth) fail("the value is nested more than " + std::to_string(kMaxDepth) + " deep");
    Element element;
    if (at(TokenKind::kBracketOpen)) {
      element = parse_list();
    } else if (at(TokenKind::kBraceOpen)) {
      element = parse_map();
    } else if (at(TokenKind::kId) && token(1).kind == TokenKind::kParenOpen) {
      element = parse_function();
    } else {
      element = parse_primitive(where);
    }
    --depth_;
    return element;
  }

  Element parse_member(const std::string& where) {
    const size_t offset = token().offset;
    Element element = parse_element(where);
    if (element.is_sweep()) {
      throw_override_parse_error(word_, offset, "a sweep cannot stand inside a list or a map",
                                 "sweep over whole values: key=choice([1,2],[3])");
    }
    return element;
  }

  Element parse_list() {
    ++index_;
    ++open_;
    ElementList list;
    if (!at(TokenKind::kBracketClose)) {
      do {
        list.push_back(parse_member("in the list"));
      } while (accept(TokenKind::kComma));
    }
    if (!accept(TokenKind::kBracketClose)) fail_unexpected("in the list");
    --open_;
    return Element{std::move(list)};
  }

  Element parse_map() {
    ++index_;
    ++open_;
    ElementMap map;
    if (!at(TokenKind::kBraceClose)) {
      do {
        Element key = parse_map_key();
        if (!accept(TokenKind::kColon)) fail_unexpected("in the map, where ':' is expected");
        Element value = parse_member("in the map");
        bool found = false;
        for (auto& [known, old] : map) {
          if (same_python_key(known, key)) {
            old = value;
            found = true;
          }
        }
        if (!found) map.push_back({std::move(key), std::move(value)});
      } while (accept(TokenKind::kComma));
    }
    if (!accept(TokenKind::kBraceClose)) fail_unexpected("in the map");
    --open_;
    return Element{std::move(map)};
  }

  static bool is_map_key_token(TokenKind kind) {
    return kind == TokenKind::kId || kind == TokenKind::kNull || kind == TokenKind::kInt || kind == TokenKind::kFloat ||
           kind == TokenKind::kBool || kind == TokenKind::kUnquotedChar || kind == TokenKind::kEscape ||
           kind == TokenKind::kWhitespace;
  }
  bool is_primitive_token(TokenKind kind) const {
    return is_map_key_token(kind) || kind == TokenKind::kColon || kind == TokenKind::kInterpolation ||
           (lenient_ && open_ == 0 && kind == TokenKind::kEqual);
  }

  Element parse_map_key() {
    if (at(TokenKind::kQuoted))
      fail("keys of a map cannot be quoted here", "write {a:1}; escape blanks and colons by \\");
    const size_t first = index_;
    while (is_map_key_token(token().kind)) ++index_;
    if (index_ == first) fail_unexpected("in the map, where a key is expected");
    return primitive(first, index_);
  }

  Element parse_primitive(const std::string& where) {
    if (at(TokenKind::kQuoted)) {
      const std::string text = take();
      return Element{QuotedString{unescape_quoted(text), text[0]}};
    }
    const size_t first = index_;
    while (is_primitive_token(token().kind)) ++index_;
    if (index_ == first) fail_unexpected(where);
    return primitive(first, index_);
  }

  // Tokens [first, last): one token keeps its type, several make a string. Blanks around are dropped.
  Element primitive(size_t first, size_t last) {
    if (tokens_[first].kind == TokenKind::kWhitespace) ++first;
    if (last > first && tokens_[last - 1].kind == TokenKind::kWhitespace) --last;
    if (first >= last) fail("a value of blanks only", "an empty string is ''");
    if (last - first == 1) return typed(tokens_[first]);
    std::string text;
    for (size_t i = first; i < last; ++i) append_unescaped(tokens_[i], text);
    return Element{std::move(text)};
  }

  static void append_unescaped(const OverrideToken& token, std::string& out) {
    if (token.kind != TokenKind::kEscape) {
      out += token.text;
      return;
    }
    for (size_t i = 1; i < token.text.size(); i += 2) out += token.text[i];
  }

  Element typed(const OverrideToken& token) const {
    switch (token.kind) {
      case TokenKind::kNull: return Element{};
      case TokenKind::kBool: return Element{token.text[0] == 't' || token.text[0] == 'T'};
      case TokenKind::kInt: {
        const std::string digits = without_underscores(token.text);
        int64_t value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc()) {
          throw_override_parse_error(word_, token.offset,
                                     "the integer " + std::string(token.text) + " does not fit in 64 bits",
                                     "write it as a float (1e20) or in quotes as a string");
        }
        return Element{value};
      }
      case TokenKind::kFloat: return Element{parse_float(token.text)};
      default: {
        std::string text;
        append_unescaped(token, text);
        return Element{std::move(text)};
      }
    }
  }

  // The lexer has checked the form; what is out of range becomes inf or 0 as in Python.
  static double parse_float(std::string_view text) { return std::strtod(without_underscores(text).c_str(), nullptr); }

  Element parse_function() {
    const size_t start = token().offset;
    FunctionCall call;
    call.name = take();
    ++index_;
    ++open_;
    if (!at(TokenKind::kParenClose)) {
      do {
        if (at(TokenKind::kId) && token(1).kind == TokenKind::kEqual) {
          std::string name = take();
          ++index_;
          call.kwargs.emplace_back(std::move(name), parse_element("in the arguments"));
        } else {
          if (!call.kwargs.empty()) fail("a positional argument follows a named one");
          call.args.push_back(parse_element("in the arguments"));
        }
      } while (accept(TokenKind::kComma));
    }
    if (!accept(TokenKind::kParenClose)) fail_unexpected("in the arguments");
    --open_;
    const std::string source(word_.substr(start, token().offset - start));
    try {
      return call_function(std::move(call));
    } catch (const FunctionFailure& failure) {
      throw_override_parse_error(word_, start, failure.kind + " while evaluating '" + source + "': " + failure.message);
    }
  }

  static constexpr int kMaxDepth = 200;
  std::string_view word_;
  std::string_view previous_word_;
  bool lenient_;
  std::vector<OverrideToken> tokens_;
  size_t index_ = 0;
  int open_ = 0;  // brackets, braces and parentheses not yet closed
  int depth_ = 0;
};

}  // namespace

Override parse_override(std::string_view word, const OverrideParseOptions& options) {
  char32_t ignored;
  for (size_t i = 0; i < word.size();) {
    const size_t length = utf8::decode(word, i, &ignored);
    if (length == 0) throw_override_parse_error(word, i, "the word is not UTF-8");
    i += length;
  }
  return Parser(word, options).parse();
}

std::vector<Override> parse_overrides(const std::vector<std::string>& words, const OverrideParseOptions& options) {
  std::vector<Override> overrides;
  overrides.reserve(words.size());
  OverrideParseOptions each = options;
  for (const std::string& word : words) {
    overrides.push_back(parse_override(word, each));
    each.previous_word = word;
  }
  return overrides;
}

}  // namespace fathom::config
