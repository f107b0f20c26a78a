// How NeMo's speech tokenizers clean a text and cut it into words. Uses no torch; no state, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

// What is done to a text first. Names as in NeMo's tokenizer_utils ("english_text_preprocessing", …).
enum class TextCleaning {
  kNone,
  kLower,         // str.lower(): Spanish, French, Italian, Vietnamese, Japanese
  kEnglish,       // decomposed, without combining marks, typographic quotes as ASCII's; case stays
  kEnglishLower,  // and in lower case
  kAnyLocale,     // composed (NFC), ’ as '
};
std::string clean_text(std::string_view text, TextCleaning cleaning);

// A stretch of a text: a word, what stands between words (one part each), or the parts of what |bars| keep as it is.
struct WordSpan {
  std::vector<std::string> parts;
  bool unchanged = false;
  friend bool operator==(const WordSpan&, const WordSpan&) = default;
};
// Words of ASCII letters with - and ' inside, in lower case. A lone | vanishes.
std::vector<WordSpan> english_words(std::string_view text);
// Words of Latin, Indic and Korean letters; case stays.
std::vector<WordSpan> any_locale_words(std::string_view text);

bool is_any_locale_letter(char32_t c);  // of any_locale_words()
bool is_indic_letter(char32_t c);
bool is_korean_letter(char32_t c);

}  // namespace fathom::text
