// The types of YAML scalars: implicit ones of YAML 1.1 as PyYAML reads it, with OmegaConf's rule for floats, and tags.
#include "core/config/yaml_scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

#include "core/config/base64.h"
#include "core/config/errors.h"
#include "core/config/python_text.h"
#include "core/config/yaml_loader.h"

namespace fathom::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_digit_or_underscore(char c) { return is_digit(c) || c == '_'; }

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const auto word : words) {
    if (text == word) return true;
  }
  return false;
}

std::string without_underscores(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != '_') out += c;
  }
  return out;
}

[[noreturn]] void throw_bad_number(std::string_view text) {
  throw ConfigError("ConstructorError", "'" + std::string(text) + "' looks like a number but has no digits")
      .with_next("quote it to make it a string");
}

[[noreturn]] void throw_big_integer(std::string_view text) {
  throw ConfigError("ConstructorError", "integer '" + std::string(text) + "' does not fit in 64 bits")
      .with_expected("a number from -9223372036854775808 to 9223372036854775807")
      .with_next("quote it to make it a string, or write it as a float");
}

int64_t signed_value(bool negative, uint64_t magnitude, std::string_view text) {
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  if (magnitude > kMax + (negative ? 1 : 0)) throw_big_integer(text);
  return negative ? static_cast<int64_t>(0 - magnitude) : static_cast<int64_t>(magnitude);
}

int64_t parse_digits(bool negative, std::string_view digits, int base, std::string_view text) {
  const std::string clean = without_underscores(digits);
  if (clean.empty()) throw_bad_number(text);
  uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(clean.data(), clean.data() + clean.size(), magnitude, base);
  if (error != std::errc() || end != clean.data() + clean.size()) throw_big_integer(text);
  return signed_value(negative, magnitude, text);
}

double parse_double(const std::string& clean, std::string_view text) {
  char* end = nullptr;
  const double value = std::strtod(clean.c_str(), &end);
  if (clean.empty() || end != clean.c_str() + clean.size()) throw_bad_number(text);
  return value;
}

// "12:30:15" after the sign; the last part may have a fraction. Empty when the shape is another.
struct Sexagesimal {
  bool matches = false;
  bool fraction = false;
};
Sexagesimal match_sexagesimal(std::string_view body) {
  size_t i = 0;
  if (body.empty() || !is_digit(body[0])) return {};
  while (i < body.size() && is_digit_or_underscore(body[i])) ++i;
  size_t groups = 0;
  while (i < body.size() && body[i] == ':') {
    const size_t start = ++i;
    while (i < body.size() && is_digit(body[i])) ++i;
    const size_t digits = i - start;
    if (digits == 0 || digits > 2 || (digits == 2 && body[start] > '5')) return {};
    ++groups;
  }
  if (groups == 0) return {};
  if (i == body.size()) return {body[0] != '0', false};
  if (body[i] != '.') return {};
  for (++i; i < body.size(); ++i) {
    if (!is_digit_or_underscore(body[i])) return {};
  }
  return {true, true};
}

double sexagesimal_float(std::string_view body, std::string_view text) {
  double value = 0;
  size_t start = 0;
  while (true) {
    const size_t colon = body.find(':', start);
    const std::string part = without_underscores(body.substr(start, colon - start));
    value = value * 60 + parse_double(part, text);
    if (colon == std::string_view::npos) return value;
    start = colon + 1;
  }
}

int64_t sexagesimal_int(bool negative, std::string_view body, std::string_view text) {
  uint64_t value = 0;
  size_t start = 0;
  while (true) {
    const size_t colon = body.find(':', start);
    const auto part = static_cast<uint64_t>(parse_digits(false, body.substr(start, colon - start), 10, text));
    if (__builtin_mul_overflow(value, uint64_t{60}, &value) || __builtin_add_overflow(value, part, &value)) {
      throw_big_integer(text);
    }
    if (colon == std::string_view::npos) return signed_value(negative, value, text);
    start = colon + 1;
  }
}

// OmegaConf's rule beside PyYAML's: PyYAML's wants a point, and a sign in the exponent; OmegaConf's wants neither, but
// underscores before the point only between digits.
bool matches_float(std::string_view body, bool has_sign) {
  size_t i = 0;
  const auto skip_digits = [&] {
    while (i < body.size() && is_digit_or_underscore(body[i])) ++i;
  };
  bool strict_whole = false, point = false;
  if (body[0] == '.') {
    if (has_sign || body.size() < 2 || !is_digit(body[1])) return false;
    point = true;
    ++i;
    skip_digits();
  } else {
    skip_digits();
    strict_whole = body[i - 1] != '_' && body.substr(0, i).find("__") == std::string_view::npos;
    if (i < body.size() && body[i] == '.') {
      point = true;
      ++i;
      skip_digits();
    }
  }
  if (i == body.size()) return point;
  if (body[i] != 'e' && body[i] != 'E') return false;
  ++i;
  const bool exponent_sign = i < body.size() && (body[i] == '+' || body[i] == '-');
  if (exponent_sign) ++i;
  const size_t start = i;
  while (i < body.size() && is_digit(body[i])) ++i;
  if (i == start || i != body.size()) return false;
  return strict_whole || (point && exponent_sign);
}

Scalar parse_number(std::string_view text) {
  const bool has_sign = text[0] == '+' || text[0] == '-';
  const bool negative = text[0] == '-';
  const std::string_view body = has_sign ? text.substr(1) : text;
  if (body.empty()) return std::string(text);
  if (body[0] == '.') {
    if (is_one_of(body, {".inf", ".Inf", ".INF"})) {
      return negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    }
    if (!has_sign && is_one_of(body, {".nan", ".NaN", ".NAN"})) return std::numeric_limits<double>::quiet_NaN();
  } else if (!is_digit(body[0])) {
    return std::string(text);
  } else {
    // Plain decimal integers are by far the most frequent.
    size_t digits = 0;
    while (digits < body.size() && is_digit_or_underscore(body[digits])) ++digits;
    if (digits == body.size()) {
      if (body[0] != '0') return parse_digits(negative, body, 10, text);
      if (body.size() == 1) return int64_t{0};
      for (const char c : body) {
        if (c > '7' && c != '_') return std::string(text);
      }
      return parse_digits(negative, body, 8, text);
    }
    if (body.size() > 2 && body[0] == '0' && (body[1] == 'b' || body[1] == 'x')) {
      const bool hex = body[1] == 'x';
      for (const char c : body.substr(2)) {
        const bool hex_digit = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (c != '_' && !(hex ? hex_digit : (c == '0' || c == '1'))) return std::string(text);
      }
      return parse_digits(negative, body.substr(2), hex ? 16 : 2, text);
    }
    if (body[digits] == ':') {
      const auto match = match_sexagesimal(body);
      if (!match.matches) return std::string(text);
      if (match.fraction) return (negative ? -1.0 : 1.0) * sexagesimal_float(body, text);
      return sexagesimal_int(negative, body, text);
    }
  }
  if (!matches_float(body, has_sign)) return std::string(text);
  return (negative ? -1.0 : 1.0) * parse_double(without_underscores(body), text);
}

}  // namespace

Scalar parse_plain_scalar(std::string_view text) {
  if (text.empty()) return std::monostate{};
  switch (text[0]) {
    case '~':
      if (text.size() == 1) return std::monostate{};
      break;
    case 'n':
    case 'N':
      if (is_one_of(text, {"null", "Null", "NULL"})) return std::monostate{};
      if (is_one_of(text, {"no", "No", "NO"})) return false;
      break;
    case 'y':
    case 'Y':
      if (is_one_of(text, {"yes", "Yes", "YES"})) return true;
      break;
    case 't':
    case 'T':
      if (is_one_of(text, {"true", "True", "TRUE"})) return true;
      break;
    case 'f':
    case 'F':
      if (is_one_of(text, {"false", "False", "FALSE"})) return false;
      break;
    case 'o':
    case 'O':
      if (is_one_of(text, {"on", "On", "ON"})) return true;
      if (is_one_of(text, {"off", "Off", "OFF"})) return false;
      break;
    case '=':
      if (text.size() == 1) {
        throw ConfigError("ConstructorError", "a plain '=' has no value in YAML 1.1").with_next("quote it: '='");
      }
      break;
    case '<':
      if (text == "<<") {
        throw ConfigError("ConstructorError", "'<<' is YAML's merge key and no value").with_next("quote it: '<<'");
      }
      break;
    case '+':
    case '-':
    case '.':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return parse_number(text);
    default: break;
  }
  return std::string(text);
}

Scalar parse_tagged_scalar(std::string_view tag, const std::string& text) {
  const std::string_view name =
      tag.substr(0, kYamlTagPrefix.size()) == kYamlTagPrefix ? tag.substr(kYamlTagPrefix.size()) : std::string_view();
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
  throw ConfigError("ConstructorError", "could not determine a constructor for the tag '" + std::string(tag) + "'")
      .with_expected("one of !!str, !!int, !!float, !!bool, !!null, !!binary, or no tag");
}

}  // namespace fathom::config
