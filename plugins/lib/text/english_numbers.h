// Numbers of an English text in words, as NeMo's English text cleaner (NumberCleaner) and the Python package `inflect`
// with its defaults write them. The rules are those of NeMo 3.0.0 and inflect 7.6.0, whose output this was compared
// with; the code is our own. Uses no torch; no state, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom::text {

// inflect's number_to_words. `number` is decimal digits with any of: a sign, a "." before decimals, an ordinal's ending
// ("st", "nd", "rd", "th"; it need not fit). Everything else in it (commas, "$", letters) is passed over, and what
// holds no digit is "zero". "1,234" -> "one thousand, two hundred and thirty-four", "1.05" -> "one point zero five",
// "21st" -> "twenty-first", "007" -> "seven". Nothing where inflect raises: an empty string, or more than 36 digits
// before the point (leading zeros do not count).
std::optional<std::string> number_to_words(std::string_view number);

// Spells out each word of `text` that holds an ASCII digit; `text` is in lower case, its words separated by single
// blanks. What applies to a word is the first of these:
//  - a time, "3:05pm": hour, minutes unless 00, am or pm. What follows in the word is dropped.
//  - an ordinal, "21st": as number_to_words. What follows in the word is dropped.
//  - a word of three digits comes next ("2 248 475", decimals and one of "!.?" allowed): the two are one number.
//  - money, "$5.99" or "$ 5.99": "five dollars and ninety-nine cents".
//  - decimals, one or two digits behind the word's last "." or ",": "3.5" or "3,5" is "three point five".
//  - else each run of digits and commas in the word by itself, "a1b2", after full stops are removed, "3.5%" included.
// White space in the result is not tidied. Nothing where NeMo raises (and then drops the text): what number_to_words
// refuses, and money without a whole part behind a lone "$" ("$ .50"; "$.50" is fine).
std::optional<std::string> spell_out_numbers(std::string_view text);

}  // namespace fathom::text
