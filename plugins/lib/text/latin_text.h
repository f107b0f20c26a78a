// Unicode helpers of the character parsers: UTF-8 steps, lower case, and transliteration of Latin script to ASCII.
// Uses no torch; no state.
//
// Covered: Latin-1, Latin Extended-A, Greek and Cyrillic case, typographic punctuation. Letters of other scripts are
// kept as they are by to_ascii (NeMo would romanise them).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::text {

// Bytes of the code point at `at`; 1 for a byte that begins none.
size_t utf8_step(std::string_view text, size_t at);
size_t utf8_length(std::string_view text);  // in code points
std::string to_utf8(char32_t c);
std::string lower_case(std::string_view text);
std::string to_ascii(std::string_view text);
std::string_view strip_white_space(std::string_view text);
// Unicode category P: ASCII's, Latin-1's, General Punctuation's and CJK's.
bool is_punctuation(char32_t c);

}  // namespace fathom::text
