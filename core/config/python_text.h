// Python's way of writing and reading numbers, which names of jobs, joined interpolations and casts follow.
// Thread-safe: no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fathom::config {

// repr(float): the shortest text that reads back, "1e-05", "1000.0", "1e+16", "inf", "nan".
std::string python_float_text(double value);

// int(text), base 10: blanks around, a sign, digits of any script with single underscores. Empty where Python raises
// ValueError, or where the number does not fit in 64 bits.
std::optional<int64_t> python_int(std::string_view text);

// float(text): blanks around, inf, infinity and nan in any case, underscores between digits.
std::optional<double> python_float(std::string_view text);

}  // namespace fathom::config
