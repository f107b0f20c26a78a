// What Python's str says of a character, and upper case: what NeMo's speech tokenizers ask. Beside latin_text.h (lower
// case) and unicode.h (composed forms). Uses no torch; no state, thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace fathom::text {

bool is_letter_or_digit(char32_t c);      // str.isalnum()
bool is_digit_of_any_script(char32_t c);  // `\d` of a regular expression
// str.isalnum() of a text: not empty, every character is.
bool all_letters_or_digits(std::string_view text);
// str.upper(): every script, "ß" as "SS". Bytes that are no UTF-8 stay.
std::string upper_case(std::string_view text);
// str.isupper(): letters in capitals, and no small one.
bool is_upper_case(std::string_view text);

}  // namespace fathom::text
