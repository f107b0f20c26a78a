#include "plugins/lib/text/latin_text.h"

#include "fathom/utf8.h"
#include "plugins/lib/text/code_ranges.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

struct LowerCaseRun {
  char32_t first, last, step;
  int32_t distance;
};

#include "plugins/lib/text/unicode_tables.inc"

constexpr char32_t kCapitalSigma = 0x3a3, kFinalSigma = 0x3c2, kCapitalDottedI = 0x130, kDotAbove = 0x307;

char32_t lower(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  const LowerCaseRun* const run = range_of(kLowerCase, c);
  if (run == nullptr || (c - run->first) % run->step != 0) return c;
  return static_cast<char32_t>(static_cast<int32_t>(c) + run->distance);
}

// Whether the first character from `at` on, in steps, that says anything is a cased one.
bool meets_cased(const std::u32string_view text, size_t at, int step) {
  for (; at < text.size(); at += static_cast<size_t>(step)) {  // beyond 0 it wraps around, and ends too
    if (range_of(kCaseIgnorable, text[at]) != nullptr) continue;
    return range_of(kCased, text[at]) != nullptr;
  }
  return false;
}

// A sigma that ends a word: letters before it, none behind it.
bool is_final_sigma(const std::u32string_view text, size_t at) {
  return meets_cased(text, at - 1, -1) && !meets_cased(text, at + 1, 1);
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::u32string codes;  // of the whole text, once a capital sigma asks for its neighbours
  size_t index = 0;
  for (size_t at = 0; at < text.size(); ++index) {
    char32_t c = 0;
    const size_t length = utf8::decode(text, at, &c);
    if (length == 0) {
      out += text[at];  // a byte that is no UTF-8 stays as it is
    } else if (c == kCapitalDottedI) {
      out += 'i';
      utf8::append(out, kDotAbove);
    } else if (c == kCapitalSigma) {
      if (codes.empty()) {
        const auto points = code_points(text);
        codes.assign(points.begin(), points.end());
      }
      utf8::append(out, is_final_sigma(codes, index) ? kFinalSigma : lower(c));
    } else {
      utf8::append(out, lower(c));
    }
    at += length == 0 ? 1 : length;
  }
  return out;
}

std::string_view strip_white_space(std::string_view text) {
  char32_t c = 0;
  while (!text.empty()) {
    const size_t length = utf8::decode(text, 0, &c);
    if (length == 0 || !utf8::is_white_space(c)) break;
    text.remove_prefix(length);
  }
  while (!text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && utf8::is_continuation(text[start])) --start;
    if (utf8::decode(text, start, &c) != text.size() - start || !utf8::is_white_space(c)) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

bool is_punctuation(char32_t c) {
  if (c >= 0x80) return range_of(kPunctuation, c) != nullptr;
  const bool symbol =
      c == '$' || c == '+' || c == '<' || c == '=' || c == '>' || c == '^' || c == '`' || c == '|' || c == '~';
  return !symbol &&
         ((c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~'));
}

}  // namespace fathom::text
