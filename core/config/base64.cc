#include "core/config/base64.h"

#include <algorithm>
#include <cstdint>

namespace fathom::config {

std::string encode_base64(std::string_view data) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t line = 0; line < data.size(); line += 57) {
    const std::string_view part = data.substr(line, 57);
    for (size_t i = 0; i < part.size(); i += 3) {
      uint32_t bits = 0;
      const size_t count = std::min<size_t>(3, part.size() - i);
      for (size_t k = 0; k < 3; ++k) bits = (bits << 8) | (k < count ? static_cast<unsigned char>(part[i + k]) : 0u);
      for (size_t k = 0; k < 4; ++k) out += k <= count ? kAlphabet[(bits >> (18 - 6 * k)) & 63] : '=';
    }
    out += '\n';
  }
  return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string out;
  uint32_t buffer = 0;
  int place = 0, pads = 0;  // characters of the group at hand, padding behind them
  for (const char c : text) {
    int value = -1;
    if (c >= 'A' && c <= 'Z') value = c - 'A';
    if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
    if (c >= '0' && c <= '9') value = c - '0' + 52;
    if (c == '+') value = 62;
    if (c == '/') value = 63;
    if (c == '=') {
      if (place >= 2 && place + ++pads >= 4) return out;
      continue;
    }
    if (value < 0) continue;
    pads = 0;
    buffer = (buffer << 6) | static_cast<uint32_t>(value);
    place = (place + 1) % 4;
    if (place != 1) out += static_cast<char>((buffer >> (place == 0 ? 0 : 8 - 2 * place)) & 0xFF);
  }
  if (place != 0) return std::nullopt;
  return out;
}

}  // namespace fathom::config
