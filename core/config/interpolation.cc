#include "core/config/interpolation.h"

#include <algorithm>
#include <cstring>

#include "core/config/errors.h"
#include "core/config/python_text.h"
#include "fathom/utf8.h"

namespace fathom::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_id_start(char c) { return is_alpha(c) || c == '_'; }
bool is_id(char c) { return is_id_start(c) || is_digit(c) || c == '-'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_one_of(char c, const char* set) { return c != '\0' && std::strchr(set, c) != nullptr; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<TextPart> parse_text() {
    std::vector<TextPart> parts;
    std::string literal;
    while (!at_end()) {
      if (starts_with("${")) {
        flush(&literal, &parts);
        parts.push_back({{}, parse_interpolation()});
      } else if (peek() == '\\') {
        take_backslashes(&literal);
      } else {
        const size_t next = text_.find_first_of("\\$", pos_ + 1);
        literal.append(text_.substr(pos_, next - pos_));
        pos_ = std::min(next, text_.size());
      }
    }
    if (!literal.empty() || parts.empty()) flush(&literal, &parts, true);
    return parts;
  }

  Argument parse_single() {
    Argument argument = parse_element();
    if (!at_end()) fail("unexpected " + next_text());
    return argument;
  }

 private:
  bool at_end(size_t ahead = 0) const { return pos_ + ahead >= text_.size(); }
  char peek(size_t ahead = 0) const { return at_end(ahead) ? '\0' : text_[pos_ + ahead]; }
  bool starts_with(std::string_view what) const { return text_.substr(pos_, what.size()) == what; }
  void skip_blanks() {
    while (is_blank(peek())) ++pos_;
  }
  std::string next_text() const {
    if (at_end()) return "end of the text";
    return "'" + std::string(text_.substr(pos_, utf8::step(text_, pos_))) + "'";
  }

  [[noreturn]] void fail(const std::string& what) const {
    const size_t column = utf8::length(text_.substr(0, pos_));
    throw ConfigError("GrammarParseError",
                      what + "\n    " + std::string(text_) + "\n    " + std::string(column, ' ') + "^")
        .with_next("write a literal '${' as '\\${', and quote arguments with special characters");
  }

  static void flush(std::string* literal, std::vector<TextPart>* parts, bool always = false) {
    if (literal->empty() && !always) return;
    parts->push_back({std::move(*literal), nullptr});
    literal->clear();
  }

  // A run of backslashes means something only before "${": pairs are one each, an odd one escapes the "${".
  void take_backslashes(std::string* literal) {
    const size_t start = pos_;
    while (peek() == '\\') ++pos_;
    const size_t count = pos_ - start;
    if (!starts_with("${")) {
      literal->append(count, '\\');
      return;
    }
    literal->append(count / 2, '\\');
    if (count % 2 == 1) {
      *literal += "${";
      pos_ += 2;
    }
  }

  struct Depth {
    explicit Depth(Parser& parser) : parser(parser) {
      if (++parser.depth_ > 100) parser.fail("nested deeper than 100 levels");
    }
    ~Depth() { --parser.depth_; }
    Parser& parser;
  };

  std::unique_ptr<Interpolation> parse_interpolation() {
    const Depth depth(*this);
    auto result = std::make_unique<Interpolation>();
    pos_ += 2;
    skip_blanks();
    bool can_be_resolver = true;
    std::string literal;
    while (peek() == '.') {
      literal += '.';
      ++pos_;
      can_be_resolver = false;
    }
    while (true) {
      if (peek() == '[') {
        can_be_resolver = false;
        literal += '[';
        ++pos_;
        parse_key(&literal, result.get(), &can_be_resolver);
        if (peek() != ']') fail("expected ']', found " + next_text());
        literal += ']';
        ++pos_;
      } else {
        parse_key(&literal, result.get(), &can_be_resolver);
      }
      if (peek() == '.') {
        literal += '.';
        ++pos_;
        if (peek() == '[') fail("expected a key after '.', found '['");
        continue;
      }
      if (peek() == '[') continue;
      break;
    }
    if (!literal.empty()) result->name.push_back({std::move(literal), nullptr});
    skip_blanks();
    if (peek() == ':' && can_be_resolver) {
      ++pos_;
      skip_blanks();
      result->is_resolver = true;
      parse_arguments(result.get());
    }
    if (peek() != '}') {
      fail(at_end() ? "the interpolation is not closed: '}' is missing"
                    : "unexpected " + next_text() + " in an interpolation");
    }
    ++pos_;
    return result;
  }

  void parse_key(std::string* literal, Interpolation* result, bool* can_be_resolver) {
    if (starts_with("${")) {
      if (!literal->empty()) result->name.push_back({std::move(*literal), nullptr});
      literal->clear();
      result->name.push_back({{}, parse_interpolation()});
      return;
    }
    const size_t start = pos_;
    while (!at_end() && !is_one_of(peek(), "\\{}()[]:. \t'\"")) ++pos_;
    if (pos_ == start) fail("expected a key, found " + next_text());
    const std::string_view key = text_.substr(start, pos_ - start);
    bool is_identifier = is_id_start(key[0]);
    for (const char c : key) is_identifier = is_identifier && is_id(c);
    if (!is_identifier) *can_be_resolver = false;
    literal->append(key);
  }

  // What may follow an element inside brackets: a separator with the blanks before it.
  bool at_separator(char close) const {
    size_t ahead = 0;
    while (is_blank(peek(ahead))) ++ahead;
    return peek(ahead) == ',' || peek(ahead) == close;
  }

  // element (',' element?)*, or commas alone; `close` is not consumed. Empty elements are empty strings.
  std::vector<Argument> parse_sequence(char close, int* empty_elements) {
    std::vector<Argument> items;
    skip_blanks();
    if (peek() == close) return items;
    const auto add_empty = [&] {
      Argument empty;
      empty.scalar = std::string();
      items.push_back(std::move(empty));
      if (empty_elements != nullptr) ++*empty_elements;
    };
    while (true) {
      if (at_separator(close)) {
        add_empty();
      } else {
        items.push_back(parse_element());
      }
      skip_blanks();
      if (peek() != ',') return items;
      ++pos_;
      skip_blanks();
    }
  }

  void parse_arguments(Interpolation* result) {
    result->arguments = parse_sequence('}', &result->empty_arguments);
    skip_blanks();
  }

  Argument parse_element() {
    const Depth depth(*this);
    switch (peek()) {
      case '[': {
        Argument list;
        list.kind = Argument::Kind::kList;
        ++pos_;
        list.items = parse_sequence(']', nullptr);
        if (peek() != ']') fail("expected ',' or ']', found " + next_text());
        ++pos_;
        return list;
      }
      case '{': return parse_map();
      case '\'':
      case '"': return parse_quoted();
      default: return parse_primitive(false);
    }
  }

  Argument parse_map() {
    Argument map;
    map.kind = Argument::Kind::kMap;
    ++pos_;
    skip_blanks();
    while (peek() != '}') {
      Argument key = parse_primitive(true);
      skip_blanks();
      if (peek() != ':') fail("expected ':', found " + next_text());
      ++pos_;
      skip_blanks();
      Argument value = parse_element();
      bool replaced = false;
      for (auto& [own, present] : map.entries) {
        if (same_python_key(Key(own), Key(key.scalar))) {
          present = std::move(value);
          replaced = true;
          break;
        }
      }
      if (!replaced) map.entries.push_back({std::move(key.scalar), std::move(value)});
      skip_blanks();
      if (peek() == ',') {
        ++pos_;
        skip_blanks();
        if (peek() == '}') fail("expected a key after ',', found '}'");
      } else if (peek() != '}') {
        fail("expected ',' or '}', found " + next_text());
      }
    }
    ++pos_;
    return map;
  }

  Argument parse_quoted() {
    Argument result;
    result.kind = Argument::Kind::kText;
    const char quote = peek();
    ++pos_;
    std::string literal;
    while (true) {
      if (at_end()) fail("the quote is not closed");
      if (starts_with("${")) {
        flush(&literal, &result.parts);
        result.parts.push_back({{}, parse_interpolation()});
      } else if (peek() == '\\') {
        size_t count = 0;
        while (peek(count) == '\\') ++count;
        if (peek(count) != quote) {
          take_backslashes(&literal);
          continue;
        }
        literal.append(count / 2, '\\');
        pos_ += count;
        if (count % 2 == 1) {
          literal += quote;
          ++pos_;
        }
      } else if (peek() == quote) {
        ++pos_;
        break;
      } else {
        literal += peek();
        ++pos_;
      }
    }
    flush(&literal, &result.parts, result.parts.empty());
    return result;
  }

  size_t digits_length(size_t start) const {
    size_t i = start;
    while (true) {
      if (is_digit(peek(i))) {
        ++i;
      } else if (i > start && peek(i) == '_' && is_digit(peek(i + 1))) {
        i += 2;
      } else {
        return i - start;
      }
    }
  }
  // 0, or digits that do not start with 0.
  size_t unsigned_length(size_t start) const {
    if (peek(start) == '0') return 1;
    return digits_length(start);
  }
  bool word_at(size_t start, std::string_view lower) const {
    for (size_t i = 0; i < lower.size(); ++i) {
      if ((peek(start + i) | 0x20) != lower[i] || !is_alpha(peek(start + i))) return false;
    }
    return true;
  }
  size_t float_length() const {
    const size_t sign = is_one_of(peek(), "+-") ? 1 : 0;
    if (word_at(sign, "inf") || word_at(sign, "nan")) return sign + 3;
    const size_t whole = unsigned_length(sign);
    size_t end = sign + whole;
    bool is_float = false;
    if (peek(end) == '.') {
      const size_t fraction = digits_length(end + 1);
      if (whole > 0 || fraction > 0) {
        end += 1 + fraction;
        is_float = true;
      }
    }
    if (end > sign && is_one_of(peek(end), "eE")) {
      const size_t exponent = end + 1 + (is_one_of(peek(end + 1), "+-") ? 1 : 0);
      if (const size_t length = digits_length(exponent); length > 0) return exponent + length;
    }
    return is_float ? end : 0;
  }
  size_t int_length() const {
    const size_t sign = is_one_of(peek(), "+-") ? 1 : 0;
    const size_t length = unsigned_length(sign);
    return length == 0 ? 0 : sign + length;
  }
  size_t id_length() const {
    if (!is_id_start(peek())) return 0;
    size_t length = 1;
    while (is_id(peek(length))) ++length;
    return length;
  }

  Scalar number(std::string_view text, bool is_float) {
    if (is_float) {
      if (const auto value = python_float(text)) return *value;
    } else if (const auto value = python_int(text)) {
      return *value;
    }
    fail("number '" + std::string(text) + "' does not fit in 64 bits");
  }

  // Tokens up to a separator. One token keeps its type; several are joined.
  Argument parse_primitive(bool is_key) {
    Argument result;
    std::string literal;
    std::vector<TextPart> parts;
    size_t tokens = 0;
    Scalar single;
    while (!at_end()) {
      const char c = peek();
      if (c == ',' || c == ']' || c == '}') break;
      if (c == ':' && is_key) break;
      ++tokens;
      const size_t start = pos_;
      if (is_blank(c)) {
        size_t length = 0;
        while (is_blank(peek(length))) ++length;
        const char after = peek(length);
        if (after == ',' || after == ']' || after == '}' || (after == ':' && is_key)) {  // belongs to the separator
          --tokens;
          pos_ += length;
          break;
        }
        pos_ += length;
        if (after == ':') {  // one token with the blanks around
          ++pos_;
          skip_blanks();
        }
        literal.append(text_.substr(start, pos_ - start));
        single = std::string(text_.substr(start, pos_ - start));
        continue;
      }
      if (starts_with("${")) {
        if (is_key) fail("an interpolation cannot be a key");
        flush(&literal, &parts);
        parts.push_back({{}, parse_interpolation()});
        continue;
      }
      if (c == ':') {
        ++pos_;
        skip_blanks();
        literal.append(text_.substr(start, pos_ - start));
        single = std::string(text_.substr(start, pos_ - start));
        continue;
      }
      if (c == '\\' && is_one_of(peek(1), "\\()[]{}:=, \t")) {
        std::string unescaped;
        while (peek() == '\\' && is_one_of(peek(1), "\\()[]{}:=, \t")) {
          unescaped += peek(1);
          pos_ += 2;
        }
        literal += unescaped;
        single = std::move(unescaped);
        continue;
      }
      const size_t as_float = float_length(), as_int = int_length(), as_id = id_length();
      const size_t length = std::max({as_float, as_int, as_id});
      if (length == 0) {
        if (!is_one_of(c, "/-\\+.$%*@?|")) fail("token recognition error at: " + next_text());
        ++pos_;
        literal += c;
        single = std::string(1, c);
        continue;
      }
      const std::string_view token = text_.substr(pos_, length);
      pos_ += length;
      literal.append(token);
      if (tokens > 1) continue;  // joined anyway
      pos_ = start;
      if (length == as_float) {
        single = number(token, true);
      } else if (length == as_int) {
        single = number(token, false);
      } else if (length == 4 && word_at(0, "true")) {
        single = true;
      } else if (length == 5 && word_at(0, "false")) {
        single = false;
      } else if (length == 4 && word_at(0, "null")) {
        single = std::monostate{};
      } else {
        single = std::string(token);
      }
      pos_ = start + length;
    }
    if (tokens == 0) fail("expected a value, found " + next_text());
    if (parts.empty()) {
      result.scalar = tokens == 1 ? std::move(single) : Scalar(std::move(literal));
      return result;
    }
    flush(&literal, &parts);
    result.kind = tokens == 1 ? Argument::Kind::kInterpolation : Argument::Kind::kText;
    result.parts = std::move(parts);
    return result;
  }

  std::string_view text_;
  size_t pos_ = 0;
  int depth_ = 0;
};

}  // namespace

std::vector<TextPart> parse_interpolation_text(std::string_view text) { return Parser(text).parse_text(); }

Argument parse_argument(std::string_view text) { return Parser(text).parse_single(); }

void check_interpolation(std::string_view text) { Parser(text).parse_text(); }

}  // namespace fathom::config
