#include "plugins/lib/text/letters.h"

#include <cstdint>

#include "fathom/utf8.h"
#include "plugins/lib/text/code_ranges.h"
#include "plugins/lib/text/latin_text.h"

namespace fathom::text {
namespace {

struct UpperCaseRun {
  char32_t first, last, step;
  int32_t distance;
};
struct LongUpperCase {
  char32_t first;
  char32_t upper[3];
  char32_t last = first;
};

#include "plugins/lib/text/letter_tables.inc"

void append_upper(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    return;
  }
  if (const LongUpperCase* found = range_of(kLongUpperCase, c); found != nullptr) {
    for (const char32_t part : found->upper) {
      if (part != 0) utf8::append(out, part);
    }
    return;
  }
  const UpperCaseRun* run = range_of(kUpperCase, c);
  const bool changes = run != nullptr && (c - run->first) % run->step == 0;
  utf8::append(out, changes ? static_cast<char32_t>(static_cast<int32_t>(c) + run->distance) : c);
}

}  // namespace

bool is_letter_or_digit(char32_t c) { return range_of(kAlphanumeric, c) != nullptr; }
bool is_digit_of_any_script(char32_t c) { return range_of(kDecimalDigits, c) != nullptr; }

bool all_letters_or_digits(std::string_view text) {
  if (text.empty()) return false;
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const size_t length = utf8::decode(text, at, &c);
    if (length == 0 || !is_letter_or_digit(c)) return false;
    at += length;
  }
  return true;
}

std::string upper_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const size_t length = utf8::decode(text, at, &c);
    if (length == 0) {
      out += text[at++];
      continue;
    }
    append_upper(out, c);
    at += length;
  }
  return out;
}

bool is_upper_case(std::string_view text) { return upper_case(text) == text && lower_case(text) != text; }

}  // namespace fathom::text
