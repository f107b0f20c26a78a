#include "plugins/lib/text/words.h"

#include "fathom/utf8.h"

namespace fathom::text {
namespace {

// A byte that begins no code point stands for itself.
size_t decode_or_byte(std::string_view text, size_t at, char32_t* code) {
  const size_t length = utf8::decode(text, at, code);
  if (length > 0) return length;
  *code = static_cast<unsigned char>(text[at]);
  return 1;
}

}  // namespace

std::vector<char32_t> code_points(std::string_view text) {
  std::vector<char32_t> out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    at += decode_or_byte(text, at, &c);
    out.push_back(c);
  }
  return out;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const size_t length = decode_or_byte(text, at, &c);
    if (utf8::is_white_space(c)) {
      if (at > start) out.emplace_back(text.substr(start, at - start));
      start = at + length;
    }
    at += length;
  }
  if (text.size() > start) out.emplace_back(text.substr(start));
  return out;
}

}  // namespace fathom::text
