#include "core/config/python_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <iterator>

#include "fathom/utf8.h"

namespace fathom::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The zeros of Unicode 14's decimal digits (category Nd) beyond ASCII; the other nine follow each.
constexpr char32_t kZeros[] = {0x660,   0x6F0,   0x7C0,   0x966,   0x9E6,   0xA66,   0xAE6,   0xB66,   0xBE6,   0xC66,
                               0xCE6,   0xD66,   0xDE6,   0xE50,   0xED0,   0xF20,   0x1040,  0x1090,  0x17E0,  0x1810,
                               0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,  0xA8D0,
                               0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066, 0x110F0,
                               0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950,
                               0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC,
                               0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0};

// int() and float() read the digits and blanks of all scripts.
std::string in_ascii(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) >= 0; }))
    return std::string(text);
  std::string out;
  for (size_t i = 0; i < text.size();) {
    char32_t code = 0;
    const size_t length = std::max<size_t>(1, utf8::decode(text, i, &code));
    const auto* after = std::upper_bound(std::begin(kZeros), std::end(kZeros), code);
    if (length == 1)
      out += text[i];
    else if (utf8::is_white_space(code))
      out += ' ';
    else if (after != std::begin(kZeros) && code - after[-1] < 10)
      out += static_cast<char>('0' + (code - after[-1]));
    else
      out += text.substr(i, length);
    i += length;
  }
  return out;
}

std::string_view strip(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\r\f\v";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Drops underscores that stand between two digits; nothing when one stands elsewhere.
std::optional<std::string> drop_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || !is_digit(text[i - 1]) || !is_digit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

std::string python_float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string_view scientific(buffer, static_cast<size_t>(end - buffer));
  const size_t e = scientific.find('e');
  const int exponent = std::atoi(std::string(scientific.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) return std::string(scientific);  // two exponent digits at least, as Python
  const auto [fixed_end, fixed_error] = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  std::string text(buffer, fixed_end);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::optional<int64_t> python_int(std::string_view text) {
  const std::string ascii = in_ascii(text);
  auto digits = drop_underscores(strip(ascii));
  if (!digits) return std::nullopt;
  if (!digits->empty() && (*digits)[0] == '+') {
    digits->erase(0, 1);
    if (!digits->empty() && (*digits)[0] == '-') return std::nullopt;
  }
  int64_t value = 0;
  const char* last = digits->data() + digits->size();
  const auto [end, error] = std::from_chars(digits->data(), last, value);
  if (error != std::errc() || end != last) return std::nullopt;
  return value;
}

std::optional<double> python_float(std::string_view text) {
  const std::string ascii = in_ascii(text);
  const auto plain = drop_underscores(strip(ascii));
  if (!plain || plain->empty()) return std::nullopt;
  // strtod also reads hexadecimal floats and "nan(...)", which Python does not.
  if (plain->find_first_of("xX(") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(plain->c_str(), &end);
  if (end != plain->c_str() + plain->size()) return std::nullopt;
  return value;
}

}  // namespace fathom::config
