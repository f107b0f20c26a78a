// Unicode helpers of the character parsers: lower case and transliteration of Latin script to ASCII.
// Uses no torch; no state.
//
// Covered: Latin-1, Latin Extended-A, Greek and Cyrillic case, typographic punctuation. Letters of other scripts are
// kept as they are by to_ascii (NeMo would romanise them).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::text {

std::string lower_case(std::string_view text);
std::string to_ascii(std::string_view text);
std::string_view strip_white_space(std::string_view text);
// Unicode category P: ASCII's, Latin-1's, General Punctuation's and CJK's.
bool is_punctuation(char32_t c);

}  // namespace fathom::text
