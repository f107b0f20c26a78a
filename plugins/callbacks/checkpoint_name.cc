#include "plugins/callbacks/checkpoint_name.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::callbacks {
namespace {

[[noreturn]] void fail(const std::string& what, std::string_view seen) {
  throw Error(Code::kFailed, what).at("filename").seen(std::string(seen)).next("see Python's format specification");
}

struct Spec {
  std::string fill = " ", sign = "-";
  char align = 0, grouping = 0, type = 0;
  bool alternate = false, zero = false, no_negative_zero = false;
  size_t width = 0;
  int precision = -1;
};

Spec parse(std::string_view text) {
  const std::string_view whole = text;
  Spec spec;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '=' || c == '^'; };
  if (!text.empty()) {
    const size_t n = utf8::step(text, 0);
    if (n < text.size() && is_align(text[n])) {
      spec.fill = text.substr(0, n);
      spec.align = text[n];
      text.remove_prefix(n + 1);
    } else if (is_align(text[0])) {
      spec.align = text[0];
      text.remove_prefix(1);
    }
  }
  const auto take = [&](std::string_view any) -> char {
    if (text.empty() || any.find(text[0]) == std::string_view::npos) return 0;
    const char c = text[0];
    text.remove_prefix(1);
    return c;
  };
  const auto number = [&](int64_t otherwise) -> int64_t {
    int64_t value = otherwise;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range || value > 1000) fail("the format is too wide", whole);
    if (error == std::errc()) text.remove_prefix(static_cast<size_t>(end - text.data()));
    return value;
  };
  if (const char c = take("+- ")) spec.sign = c;
  spec.no_negative_zero = take("z") != 0;
  spec.alternate = take("#") != 0;
  if (take("0") != 0) {
    spec.zero = true;
    if (spec.align == 0) {
      spec.align = '=';
      spec.fill = "0";
    }
  }
  if (!text.empty() && text[0] >= '0' && text[0] <= '9') spec.width = static_cast<size_t>(number(0));
  spec.grouping = take(",_");
  if (take(".") != 0) {
    if (text.empty() || text[0] < '0' || text[0] > '9') fail("the format has no precision after its point", whole);
    spec.precision = static_cast<int>(number(0));
  }
  spec.type = take("bcdeEfFgGnoxX%");
  if (!text.empty()) fail("the format is not understood", whole);
  return spec;
}

// Separators every three (four for b, o, x) digits of the integer part.
void group(std::string& digits, char separator, size_t every) {
  size_t end = 0;
  while (end < digits.size() && std::isxdigit(static_cast<unsigned char>(digits[end])) != 0 && digits[end] != 'e')
    ++end;
  while (end > every) {
    end -= every;
    digits.insert(end, 1, separator);
  }
}

std::string general(double value, int precision, bool alternate, bool upper) {
  char text[1100];
  std::snprintf(text, sizeof text, alternate ? (upper ? "%#.*G" : "%#.*g") : (upper ? "%.*G" : "%.*g"), precision,
                value);
  return text;
}

// repr(float) of a value that is not negative.
std::string shortest(double value) {
  char text[40];
  const bool fixed = value == 0 || (value >= 1e-4 && value < 1e16);
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, value, fixed ? std::chars_format::fixed : std::chars_format::scientific);
  std::string out(text, end);
  if (fixed && out.find('.') == std::string::npos) out += ".0";
  return out;
}

std::string float_digits(double value, const Spec& spec) {
  const char type = spec.type;
  const bool upper = type == 'E' || type == 'F' || type == 'G';
  if (std::isnan(value)) return upper ? "NAN" : type == '%' ? "nan%" : "nan";
  if (std::isinf(value)) return upper ? "INF" : type == '%' ? "inf%" : "inf";
  const int precision = spec.precision < 0 ? 6 : spec.precision;
  char text[1500];
  switch (type) {
    case 'e':
    case 'E':
      std::snprintf(text, sizeof text, spec.alternate ? (upper ? "%#.*E" : "%#.*e") : (upper ? "%.*E" : "%.*e"),
                    precision, value);
      return text;
    case 'f':
    case 'F': std::snprintf(text, sizeof text, spec.alternate ? "%#.*f" : "%.*f", precision, value); return text;
    case '%':
      std::snprintf(text, sizeof text, spec.alternate ? "%#.*f%%" : "%.*f%%", precision, value * 100);
      return text;
    case 'g':
    case 'G':
    case 'n': return general(value, std::max(precision, 1), spec.alternate, upper);
    default: break;
  }
  if (spec.precision < 0) return shortest(value);
  // No type: as g, but an exponent already from the precision on, and always a digit after the point.
  const int digits = std::max(spec.precision, 1);
  std::string out = general(value, digits, false, false);
  if (out.find_first_of(".e") == std::string::npos) {
    if (static_cast<int>(out.size()) < digits || digits == 1) {
      if (digits == 1) {
        std::snprintf(text, sizeof text, "%.0e", value);
        return value == 0 ? "0e+00" : text;
      }
      return out + ".0";
    }
    std::snprintf(text, sizeof text, "%.*e", digits - 1, value);
    out = text;
    const size_t e = out.find('e');
    size_t keep = e;
    while (keep > 0 && out[keep - 1] == '0') --keep;
    if (keep > 0 && out[keep - 1] == '.') --keep;
    out.erase(keep, e - keep);
  }
  return out;
}

std::string integer_digits(uint64_t value, const Spec& spec, std::string_view whole) {
  if (spec.precision >= 0) fail("an integer takes no precision", whole);
  const char type = spec.type;
  if (type == 'c') {
    if (value > 0x10ffff) fail("no character has this number", whole);
    return utf8::encode(static_cast<char32_t>(value));
  }
  char text[72];
  const int base = type == 'b' ? 2 : type == 'o' ? 8 : type == 'x' || type == 'X' ? 16 : 10;
  const auto [end, error] = std::to_chars(text, text + sizeof text, value, base);
  std::string out(text, end);
  if (type == 'X') {
    for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

}  // namespace

std::string python_format(MetricValue value, std::string_view text) {
  Spec spec = parse(text);
  const bool as_integer =
      value.integer && (spec.type == 0 || std::string_view("bcdnoxX").find(spec.type) != std::string_view::npos);
  if (!value.integer && std::string_view("bcdoxX").find(spec.type) != std::string_view::npos && spec.type != 0) {
    fail("a float has no such format", text);
  }
  bool negative = std::signbit(value.number) && !std::isnan(value.number);
  std::string digits = as_integer ? integer_digits(static_cast<uint64_t>(std::fabs(value.number)), spec, text)
                                  : float_digits(std::fabs(value.number), spec);
  if (spec.no_negative_zero && digits.find_first_of("123456789in") == std::string::npos) negative = false;
  std::string head = negative ? "-" : spec.sign == "-" ? "" : spec.sign;
  if (as_integer && spec.alternate && spec.type != 0 &&
      std::string_view("boxX").find(spec.type) != std::string_view::npos) {
    head += std::string("0") + spec.type;
  }
  if (spec.grouping != 0) {
    const size_t every = spec.type != 0 && std::string_view("boxX").find(spec.type) != std::string_view::npos ? 4 : 3;
    if (spec.fill == "0" && spec.align == '=') {  // zeros are grouped too
      const size_t tail = digits.size() - std::min(digits.find_first_not_of("0123456789"), digits.size());
      while (head.size() + tail + (digits.size() - tail) + (digits.size() - tail - 1) / every < spec.width)
        digits.insert(0, 1, '0');
    }
    group(digits, spec.grouping, every);
  }
  const size_t size = utf8::length(head) + utf8::length(digits);
  if (size >= spec.width) return head + digits;
  const size_t missing = spec.width - size;
  const auto fill = [&](size_t n) {
    std::string out;
    while (n-- > 0) out += spec.fill;
    return out;
  };
  switch (spec.align) {
    case '<': return head + digits + fill(missing);
    case '^': return fill(missing / 2) + head + digits + fill(missing - missing / 2);
    case '=': return head + fill(missing) + digits;
    default: return fill(missing) + head + digits;
  }
}

namespace {

// str.format of a text whose fields are "0[NAME]", with an optional "!r" or "!s" and an optional ":SPEC".
std::string python_str_format(const std::string& text, const MetricValues& metrics, std::string_view original) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '}') {
      if (i + 1 >= text.size() || text[i + 1] != '}') fail("a single '}' stands in the name", original);
      out += '}';
      ++i;
      continue;
    }
    if (c != '{') {
      out += c;
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '{') {
      out += '{';
      ++i;
      continue;
    }
    size_t depth = 1, end = i + 1;
    for (bool in_key = false; end < text.size(); ++end) {
      if (in_key) {
        in_key = text[end] != ']';
      } else if (text[end] == '[') {
        in_key = true;
      } else if (text[end] == '{') {
        ++depth;
      } else if (text[end] == '}' && --depth == 0) {
        break;
      }
    }
    if (end >= text.size()) fail("a '{' is not closed", original);
    std::string_view field = std::string_view(text).substr(i + 1, end - i - 1);
    i = end;
    if (!field.starts_with("0[")) fail("a field of the name is not understood", original);
    const size_t close = field.find(']');
    if (close == std::string_view::npos) fail("a ']' is missing", original);
    const std::string name(field.substr(2, close - 2));
    if (name.empty()) fail("a field of the name is empty", original);
    field.remove_prefix(close + 1);
    if (!field.empty() && field[0] == '!') {
      if (field.size() < 2) fail("a conversion is missing", original);
      field.remove_prefix(2);
    }
    if (!field.empty() && field[0] != ':') fail("only ':' or '}' may follow a field's name", original);
    const auto found = metrics.find(name);
    if (found == metrics.end()) fail("there is no metric '" + name + "'", original);
    out += python_format(found->second, field.empty() ? "" : field.substr(1));
  }
  return out;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

}  // namespace

std::string format_checkpoint_name(std::string_view filename, const MetricValues& given, bool auto_insert_metric_name,
                                   std::string_view prefix) {
  const std::string original(filename.empty() ? "{epoch}-{step}" : filename);
  std::string text = original;
  std::vector<std::string> groups;  // each "{NAME", up to the next ':' or '}'
  for (size_t at = 0; (at = original.find('{', at)) != std::string::npos;) {
    const size_t end = original.find_first_of(":}", at);
    if (end == std::string::npos) break;
    groups.push_back(original.substr(at, end - at));
    at = end + 1;
  }
  std::stable_sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  MetricValues metrics = given;
  for (const auto& group : groups) {
    const std::string name = group.substr(1);
    if (auto_insert_metric_name) replace_all(text, group, name + "={" + name);
    replace_all(text, group, "{0[" + name + "]");
    metrics.try_emplace(name, MetricValue{0, true});
  }
  std::string out = python_str_format(text, metrics, original);
  if (!prefix.empty()) out = std::string(prefix) + "-" + out;
  return out;
}

}  // namespace fathom::callbacks
