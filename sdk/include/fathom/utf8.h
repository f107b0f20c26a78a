// UTF-8, stepped through the same way by the host and by every plugin. Header-only, C++17; no state, thread-safe.
//
// A code point is one of Unicode's scalar values in its shortest form: a stray or missing continuation byte, an
// overlong form, a surrogate and what lies beyond U+10FFFF are bytes that begin none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fathom::utf8 {

// Whether a byte goes on with a code point that began before it.
constexpr bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Bytes of the code point that starts at `at` (< text.size()), which goes to *code; 0 when none does.
inline size_t decode(std::string_view text, size_t at, char32_t* code) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    *code = lead;
    return 1;
  }
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + length > text.size()) return 0;
  char32_t value = lead & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[at + i])) return 0;
    value = value << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
  *code = value;
  return length;
}

// Bytes to the next code point: 1 where none starts, so that a loop over a damaged text ends too.
inline size_t step(std::string_view text, size_t at) {
  char32_t ignored;
  const size_t length = decode(text, at, &ignored);
  return length == 0 ? 1 : length;
}

// In code points; bytes that begin none count as one each.
inline size_t length(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += step(text, at)) ++count;
  return count;
}

inline bool is_valid(std::string_view text) {
  char32_t ignored;
  for (size_t at = 0; at < text.size();) {
    const size_t length = decode(text, at, &ignored);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

// `code` at most U+10FFFF.
inline void append(std::string& out, char32_t code) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

// White space as Python's str.split() and str.strip() see it.
constexpr bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

inline std::string encode(char32_t code) {
  std::string out;
  append(out, code);
  return out;
}

}  // namespace fathom::utf8
