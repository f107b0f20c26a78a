#include "plugins/lib/audio/python_json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <utility>

namespace fathom::audio {
namespace {

constexpr std::string_view kLargest = "1.7976931348623157e308";
constexpr size_t kShort = 18;  // digits that always fit 64 bits

class Rewriter {
 public:
  explicit Rewriter(std::string_view line) : line_(line) { out_.reserve(line.size() + 16); }

  std::string run() {
    while (at_ < line_.size()) {
      const char c = line_[at_];
      if (c == '"') {
        text();
      } else if (is_digit(c) || c == '-') {
        number();
      } else if (!word("NaN") && !word("Infinity")) {
        copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  std::string_view rest() const { return line_.substr(at_); }
  void copy(size_t count) {
    out_ += line_.substr(at_, count);
    at_ += count;
  }
  bool word(std::string_view name) {
    if (!rest().starts_with(name)) return false;
    out_.append("[\"").append(name).append("\"]");
    at_ += name.size();
    return true;
  }
  void number() {
    if (line_[at_] == '-' && word("-Infinity")) return;
    size_t end = at_ + 1;
    bool whole = true;
    for (; end < line_.size(); ++end) {
      const char c = line_[end];
      if (c == '.' || c == 'e' || c == 'E' || ((c == '+' || c == '-') && !whole)) {
        whole = false;
      } else if (!is_digit(c)) {
        break;
      }
    }
    const std::string_view digits = line_.substr(at_, end - at_);
    if (whole && digits.size() <= kShort) return copy(digits.size());
    double value = 0;
    const auto [stop, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool is_number = stop == digits.data() + digits.size();
    // Out of range is too large or too near zero; only the second has a negative exponent.
    const size_t exponent = digits.find_first_of("eE");
    const bool tiny = exponent != std::string_view::npos && digits.substr(exponent).find('-') != std::string_view::npos;
    if (is_number && failed == std::errc::result_out_of_range) {
      if (digits[0] == '-') out_ += '-';
      out_ += tiny ? std::string_view("0.0") : kLargest;
    } else {
      out_ += digits;
      if (is_number && whole && failed == std::errc()) out_ += "e0";
    }
    at_ = end;
  }
  // The code unit of \uXXXX at `at`; -1 where there is none.
  int32_t unit_at(size_t at) const {
    if (at + 6 > line_.size() || line_[at] != '\\' || line_[at + 1] != 'u') return -1;
    uint32_t unit = 0;
    const char* const first = line_.data() + at + 2;
    const auto [stop, failed] = std::from_chars(first, first + 4, unit, 16);
    return failed == std::errc() && stop == first + 4 ? static_cast<int32_t>(unit) : -1;
  }
  void text() {
    copy(1);
    while (at_ < line_.size()) {
      const char c = line_[at_];
      if (c == '"') return copy(1);
      if (c != '\\') {
        copy(1);
        continue;
      }
      const int32_t unit = unit_at(at_);
      if (unit < 0xd800 || unit > 0xdfff) {
        copy(std::min<size_t>(2, line_.size() - at_));  // the digits of \uXXXX are copied as others are
        continue;
      }
      const int32_t low = unit < 0xdc00 ? unit_at(at_ + 6) : -1;
      if (low >= 0xdc00 && low <= 0xdfff) {
        copy(12);
      } else {
        out_ += "\\ufffd";
        at_ += 6;
      }
    }
  }

  const std::string_view line_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string strict_json(std::string_view line) { return Rewriter(line).run(); }

}  // namespace fathom::audio
