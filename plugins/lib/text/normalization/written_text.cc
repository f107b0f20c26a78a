#include "plugins/lib/text/normalization/written_text.h"

#include <algorithm>

#include "fathom/utf8.h"
#include "plugins/lib/text/letters.h"

namespace fathom::text {
namespace {

bool is_written_letter(char32_t c) {
  if (c < 0x80) return is_ascii_letter(static_cast<char>(c)) || is_digit(static_cast<char>(c));
  const bool raised = c == 0xb2 || c == 0xb3 || c == 0xb9 || (c >= 0x2070 && c <= 0x209f);
  const bool fraction = (c >= 0xbc && c <= 0xbe) || (c >= 0x2150 && c <= 0x215f);
  return !raised && !fraction && c != 0xaa && c != 0xba && is_letter_or_digit(c);
}

}  // namespace

WrittenText::WrittenText(std::string_view text) : text_(text), in_word_(text.size(), false) {
  for (size_t at = 0; at < text.size();) {
    char32_t code = 0;
    const size_t length = utf8::decode(text, at, &code);
    if (length > 0 && is_written_letter(code)) std::fill_n(in_word_.begin() + static_cast<long>(at), length, true);
    at += std::max<size_t>(length, 1);
  }
}

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool WrittenText::starts_any_case(size_t at, std::string_view literal) const {
  for (size_t i = 0; i < literal.size(); ++i) {
    const char c = (*this)[at + i];
    if ((is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c) != literal[i]) return false;
  }
  return true;
}

size_t WrittenText::digits_end(size_t at) const {
  while (is_digit((*this)[at])) ++at;
  return at;
}

size_t WrittenText::letters_end(size_t at) const {
  while (is_upper((*this)[at]) || is_lower((*this)[at])) ++at;
  return at;
}

size_t WrittenText::blanks_end(size_t at) const {
  while (is_blank((*this)[at])) ++at;
  return at;
}

size_t WrittenText::dash_end(size_t at) const {
  constexpr std::string_view kEnDash = "–";
  return (*this)[at] == '-' ? at + 1 : starts(at, kEnDash) ? at + kEnDash.size() : at;
}

std::string_view WrittenText::word_before(size_t at) const {
  while (at > 0 && is_blank(text_[at - 1])) --at;
  if (at > 0 && text_[at - 1] == '.') --at;
  const size_t end = at;
  while (at > 0 && (is_upper(text_[at - 1]) || is_lower(text_[at - 1]))) --at;
  return part(at, end);
}

std::optional<WrittenNumber> WrittenText::number_at(size_t at) const {
  WrittenNumber out;
  size_t end = digits_end(at);
  out.digits = part(at, end);
  if (!out.digits.empty() && out.digits.size() <= 3 && out.digits[0] != '0') {
    // No more groups than have names.
    for (int groups = 1; groups < 12 && (*this)[end] == ',' && digits_end(end + 1) == end + 4; ++groups) {
      out.digits += part(end + 1, end + 4);
      out.commas = true;
      end += 4;
    }
  }
  if ((*this)[end] == '.' && is_digit((*this)[end + 1])) {
    const size_t fraction_end = digits_end(end + 1);
    out.fraction = part(end + 1, fraction_end);
    end = fraction_end;
  }
  if (out.digits.empty() && out.fraction.empty()) return std::nullopt;
  out.end = end;
  const char next = (*this)[end], after = (*this)[end + 1];
  out.is_whole_word = !in_word(end) && !((next == '.' || next == ',') && is_digit(after));
  // "a, 5,6": a comma in a list of numbers without blanks ends the number all the same.
  if (next == ',' && is_digit(after) && !out.commas) out.is_whole_word = true;
  return out;
}

}  // namespace fathom::text
