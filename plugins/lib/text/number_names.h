// The words of English numbers. Uses no torch.
#pragma once

#include <array>
#include <string_view>

namespace fathom::text {

inline constexpr std::array<std::string_view, 20> kSmallNumbers = {
    "zero", "one",    "two",    "three",    "four",     "five",    "six",     "seven",     "eight",    "nine",
    "ten",  "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
inline constexpr std::array<std::string_view, 10> kTensNumbers = {"",      "",      "twenty",  "thirty", "forty",
                                                                  "fifty", "sixty", "seventy", "eighty", "ninety"};
// Of 1, 1000, 1000 000 and so on.
inline constexpr std::array<std::string_view, 12> kThousandsNames = {
    "",           "thousand",   "million",   "billion",   "trillion", "quadrillion", "quintillion",
    "sextillion", "septillion", "octillion", "nonillion", "decillion"};

}  // namespace fathom::text
