// Numbers as English words, in the conventions of a SpeechStyle. All arguments are ASCII digits, without signs; leading
// zeros do not count where a value is read. Uses no torch; no state, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plugins/lib/text/normalization/speech_style.h"

namespace fathom::text {

inline constexpr size_t kMostSpokenDigits = 36;  // up to decillions; longer numbers are read digit by digit

// "1234" -> "one thousand two hundred thirty-four". `commas`: between the groups, as the style has them.
std::string cardinal_words(std::string_view digits, const SpeechStyle& style, bool commas = false);
// "21" -> "twenty-first".
std::string ordinal_words(std::string_view digits, const SpeechStyle& style);
// The ordinal of words that name a cardinal: "twenty-one" -> "twenty-first".
std::string ordinal_of(std::string words);
// "1905" -> "nineteen oh five", "2005" -> "two thousand five", "484" -> "four eighty-four"; up to four digits.
std::string year_words(std::string_view digits, const SpeechStyle& style);
// "249" -> "two forty-nine": how pages, exhibits and house numbers are called; other lengths as cardinals.
std::string label_words(std::string_view digits, const SpeechStyle& style);
// "205" -> "two zero five".
std::string digit_words(std::string_view digits, std::string_view zero = "zero");
// "3" and "05" -> "three point zero five"; an empty whole part is not said.
std::string decimal_words(std::string_view whole, std::string_view fraction, const SpeechStyle& style,
                          bool commas = false);
// Words of a plural: "fourteen nineties" of "fourteen ninety", "sixties", "boxes".
std::string plural_of(std::string words);
// "XIV" -> 14. Nothing for what is no roman numeral in its shortest form, or above 3999.
std::optional<int> roman_value(std::string_view numeral);

}  // namespace fathom::text
