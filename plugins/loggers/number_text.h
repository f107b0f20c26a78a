// Numbers as Python writes them, so that files of ours and of Python's loggers read alike.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::loggers {

// repr of a float: the shortest digits that read back the same, with a point or an exponent; nan, inf, -inf.
void append_float(std::string& out, double value);
void append_integer(std::string& out, int64_t value);
// A metric's value: epoch and step, which are counts, without a point.
void append_metric(std::string& out, std::string_view name, double value);
bool is_count(std::string_view name);  // epoch and step: they are counts, and take no prefix

}  // namespace fathom::loggers
