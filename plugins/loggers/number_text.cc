#include "plugins/loggers/number_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace fathom::loggers {

void append_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "inf" : "-inf";
    return;
  }
  char text[40];
  const double size = std::fabs(value);
  const bool fixed = value == 0 || (size >= 1e-4 && size < 1e16);
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, value, fixed ? std::chars_format::fixed : std::chars_format::scientific);
  out.append(text, end);
  if (fixed && std::find(text, end, '.') == end) out += ".0";
}

void append_integer(std::string& out, int64_t value) {
  char text[24];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  out.append(text, end);
}

bool is_count(std::string_view name) { return name == "epoch" || name == "step"; }

void append_metric(std::string& out, std::string_view name, double value) {
  if (is_count(name) && std::nearbyint(value) == value && std::fabs(value) < 9e15)
    append_integer(out, static_cast<int64_t>(value));
  else
    append_float(out, value);
}

}  // namespace fathom::loggers
