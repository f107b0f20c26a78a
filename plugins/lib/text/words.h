// A text's code points and words. Uses no torch; no state, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

// Code points of a UTF-8 text. Bytes that are no UTF-8 count as one code point each.
std::vector<char32_t> code_points(std::string_view text);
// Words between runs of white space (Unicode's, as Python's str.split()).
std::vector<std::string> split_words(std::string_view text);

}  // namespace fathom::text
