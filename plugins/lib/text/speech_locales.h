// Letters and punctuation by language, as NeMo's speech tokenizers order them. Uses no torch; no state, thread-safe.
#pragma once

#include <string>
#include <vector>

namespace fathom::text {

// "en-US", "de-DE", …: those that NeMo 3.0 knows.
std::vector<std::string> speech_locales();
// Throws kFailed, with the nearest names, for another one.
void check_speech_locale(const std::string& locale);

// , . ! ? - : ; / " ( ) [ ] { }
const std::vector<std::string>& common_punctuation();
// The common punctuation and the locale's, in code point order; of "" the common one alone.
std::vector<std::string> locale_punctuation(const std::string& locale);

enum class LetterCase { kUpper, kLower, kMixed };  // kMixed: all capitals, then all small letters
// One letter each. Throws kFailed for a locale whose letters NeMo does not list (pt-BR, ko-KR).
std::vector<std::string> locale_letters(const std::string& locale, LetterCase letter_case);

// One code point each.
std::vector<std::string> split_characters(const std::string& text);

}  // namespace fathom::text
