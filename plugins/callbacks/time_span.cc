#include "plugins/callbacks/time_span.h"

#include <charconv>
#include <cmath>

namespace fathom::callbacks {
namespace {

[[noreturn]] void fail(const Json& value, const std::string& where) {
  throw Error(Code::kFailed, "is no time")
      .at(where)
      .seen(json_text(value))
      .expected("seconds, \"DD:HH:MM:SS\", or {hours: …, minutes: …}");
}

double from_text(const Json& value, const std::string& where) {
  const auto& text = value.get_ref<const std::string&>();
  constexpr double kUnits[] = {1, 60, 3600, 86400};
  double seconds = 0;
  size_t end = text.size();
  for (const double unit : kUnits) {
    const size_t colon = end == 0 ? std::string::npos : text.rfind(':', end - 1);
    const size_t start = colon == std::string::npos ? 0 : colon + 1;
    int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data() + start, text.data() + end, number);
    if (error != std::errc() || stop != text.data() + end || number < 0) fail(value, where);
    seconds += static_cast<double>(number) * unit;
    if (colon == std::string::npos) return seconds;
    end = colon;
  }
  fail(value, where);
}

}  // namespace

double read_time_span(const Json& value, const std::string& where) {
  double seconds = 0;
  if (value.is_number()) {
    seconds = value.get<double>();
  } else if (value.is_string()) {
    seconds = from_text(value, where);
  } else if (value.is_object()) {
    for (const auto& [key, number] : value.items()) {
      if (key == "_target_") continue;  // datetime.timedelta
      const double unit = key == "weeks"          ? 604800
                          : key == "days"         ? 86400
                          : key == "hours"        ? 3600
                          : key == "minutes"      ? 60
                          : key == "seconds"      ? 1
                          : key == "milliseconds" ? 1e-3
                          : key == "microseconds" ? 1e-6
                                                  : 0;
      if (unit == 0 || !number.is_number()) fail(value, where);
      seconds += number.get<double>() * unit;
    }
  } else {
    fail(value, where);
  }
  if (!(seconds >= 0) || !std::isfinite(seconds)) fail(value, where);
  return seconds;
}

std::string timedelta_repr(double seconds) {
  const auto micros = static_cast<int64_t>(std::llround(seconds * 1e6));
  std::string out;
  const auto add = [&](const char* name, int64_t value) {
    if (value != 0) out += (out.empty() ? "" : ", ") + std::string(name) + "=" + std::to_string(value);
  };
  add("days", micros / 86'400'000'000);
  add("seconds", micros % 86'400'000'000 / 1'000'000);
  add("microseconds", micros % 1'000'000);
  return "datetime.timedelta(" + (out.empty() ? "0" : out) + ")";
}

}  // namespace fathom::callbacks
