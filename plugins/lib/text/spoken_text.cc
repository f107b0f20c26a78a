#include "plugins/lib/text/spoken_text.h"

#include "fathom/utf8.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/unicode.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

bool is_basic_letter(char32_t c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_accented_letter(char32_t c) { return c >= 0xc0 && c <= 0xff && c != 0xd7 && c != 0xf7; }

CodePoints without_marks(std::string_view text) {
  CodePoints out;
  for (char32_t c : to_nfd(code_points(text))) {
    if (is_nonspacing_mark(c)) continue;
    if (c == U'’') c = U'\'';
    if (c == U'“' || c == U'”') c = U'"';
    out.push_back(c);
  }
  return out;
}

// The parts between single blanks: as many as there are blanks, and one.
std::vector<std::string> between_blanks(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == ' ')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

std::vector<WordSpan> cut(std::string_view text, bool (*is_letter)(char32_t), bool lower) {
  const CodePoints codes = code_points(text);
  const auto piece = [&](size_t from, size_t to) {
    return to_utf8(
        {codes.begin() + static_cast<std::ptrdiff_t>(from), codes.begin() + static_cast<std::ptrdiff_t>(to)});
  };
  std::vector<WordSpan> out;
  for (size_t at = 0; at < codes.size();) {
    size_t end = at + 1;
    if (is_letter(codes[at])) {  // up to the last letter before anything but letters, - and '
      for (size_t i = end; i < codes.size() && (is_letter(codes[i]) || codes[i] == '-' || codes[i] == '\''); ++i) {
        if (is_letter(codes[i])) end = i + 1;
      }
      const std::string word = piece(at, end);
      out.push_back({{lower ? lower_case(word) : word}, false});
    } else if (codes[at] == '|') {
      while (end < codes.size() && codes[end] != '|') ++end;
      if (end < codes.size()) {
        out.push_back({between_blanks(piece(at + 1, end)), true});
        ++end;
      } else {
        end = at + 1;  // a bar without its other half
      }
    } else {
      while (end < codes.size() && !is_letter(codes[end]) && codes[end] != '|') ++end;
      out.push_back({{piece(at, end)}, false});
    }
    at = end;
  }
  return out;
}

}  // namespace

std::string clean_text(std::string_view text, TextCleaning cleaning) {
  switch (cleaning) {
    case TextCleaning::kNone: return std::string(text);
    case TextCleaning::kLower: return lower_case(text);
    case TextCleaning::kEnglish: return to_utf8(without_marks(text));
    case TextCleaning::kEnglishLower: return lower_case(to_utf8(without_marks(text)));
    case TextCleaning::kAnyLocale: break;
  }
  CodePoints codes = to_nfc(code_points(text));
  for (char32_t& c : codes) {
    if (c == U'’') c = U'\'';
  }
  return to_utf8(codes);
}

// Devanagari without its two dandas, which are punctuation, Bengali, Gujarati, Tamil, Telugu, Kannada.
bool is_indic_letter(char32_t c) {
  return (c >= 0x900 && c <= 0x963) || (c >= 0x966 && c <= 0x9ff) || (c >= 0xa80 && c <= 0xaff) ||
         (c >= 0xb80 && c <= 0xcff);
}
bool is_korean_letter(char32_t c) {
  return (c >= 0xac00 && c <= 0xd7a3) || (c >= 0x1100 && c <= 0x11ff) || (c >= 0x3130 && c <= 0x318f);
}
bool is_any_locale_letter(char32_t c) {
  return is_basic_letter(c) || is_accented_letter(c) || is_indic_letter(c) || is_korean_letter(c);
}

std::vector<WordSpan> english_words(std::string_view text) { return cut(text, is_basic_letter, true); }
std::vector<WordSpan> any_locale_words(std::string_view text) { return cut(text, is_any_locale_letter, false); }

}  // namespace fathom::text
