#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

// str.split() splits where str.isspace() holds.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// Decodes one code point at `at`; returns its length in bytes.
size_t decode(std::string_view text, size_t at, char32_t& out) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  const size_t length = lead < 0x80 ? 1 : lead >= 0xf0 && lead < 0xf8 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
  out = lead;
  if (length == 1 || lead >= 0xf8 || at + length > text.size()) return 1;
  char32_t value = lead & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 1;
    value = value << 6 | (byte(at + i) & 0x3f);
  }
  out = value;
  return length;
}

}  // namespace

std::vector<char32_t> code_points(std::string_view utf8) {
  std::vector<char32_t> out;
  out.reserve(utf8.size());
  for (size_t at = 0; at < utf8.size();) {
    char32_t c = 0;
    at += decode(utf8, at, c);
    out.push_back(c);
  }
  return out;
}

std::vector<std::string> split_words(std::string_view utf8) {
  std::vector<std::string> out;
  size_t start = 0;
  for (size_t at = 0; at < utf8.size();) {
    char32_t c = 0;
    const size_t length = decode(utf8, at, c);
    if (is_space(c)) {
      if (at > start) out.emplace_back(utf8.substr(start, at - start));
      start = at + length;
    }
    at += length;
  }
  if (utf8.size() > start) out.emplace_back(utf8.substr(start));
  return out;
}

}  // namespace fathom::text
