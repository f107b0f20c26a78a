// Unicode as the parsers and decoders need it: lower case, white space, punctuation. Uses no torch; no state,
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::text {

// Python's str.lower(): every script, a final sigma told from others, "İ" as "i̇". Bytes that are no UTF-8 stay.
std::string lower_case(std::string_view text);
// Without white space (Unicode's) at both ends: Python's str.strip().
std::string_view strip_white_space(std::string_view text);
// Unicode category P.
bool is_punctuation(char32_t c);

}  // namespace fathom::text
