#include "core/hydra/decimal_range.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

#include "core/config/errors.h"
#include "core/config/python_text.h"

namespace fathom::config {
namespace {

constexpr size_t kDigits = 28;
constexpr size_t kLimit = 1'000'000;

// sign * digits * 10^exponent; digits without leading zeros, "0" for zero.
struct Decimal {
  bool negative = false;
  std::string digits = "0";
  int exponent = 0;

  bool is_zero() const { return digits == "0"; }
};

void normalize(Decimal& d) {
  d.digits.erase(0, std::min(d.digits.find_first_not_of('0'), d.digits.size() - 1));
  if (d.is_zero()) d.negative = false;
}

// Exact: every finite double is a decimal of at most 767 digits.
Decimal from_double(double value) {
  char buffer[1200];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof(buffer), std::abs(value), std::chars_format::scientific, 780);
  const std::string text(buffer, end);
  const size_t e = text.find('e');
  Decimal d{.negative = value < 0, .digits = text.substr(0, 1) + text.substr(2, e - 2)};
  d.exponent = std::atoi(text.c_str() + e + 1) - static_cast<int>(d.digits.size() - 1);
  while (d.digits.size() > 1 && d.digits.back() == '0') {
    d.digits.pop_back();
    ++d.exponent;
  }
  normalize(d);
  return d;
}

double to_double(const Decimal& d) {
  return std::strtod(((d.negative ? "-" : "") + d.digits + "e" + std::to_string(d.exponent)).c_str(), nullptr);
}

void align(Decimal& a, Decimal& b) {
  Decimal& high = a.exponent > b.exponent ? a : b;
  const int low = std::min(a.exponent, b.exponent);
  if (!high.is_zero()) high.digits.append(static_cast<size_t>(high.exponent - low), '0');
  high.exponent = low;
}

int compare_digits(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

int compare(Decimal a, Decimal b) {
  align(a, b);
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int magnitude = compare_digits(a.digits, b.digits);
  return a.negative ? -magnitude : magnitude;
}

std::string add_digits(const std::string& a, const std::string& b) {
  std::string out;
  int carry = 0;
  for (size_t i = 0; i < std::max(a.size(), b.size()) || carry != 0; ++i) {
    int sum = carry;
    if (i < a.size()) sum += a[a.size() - 1 - i] - '0';
    if (i < b.size()) sum += b[b.size() - 1 - i] - '0';
    out += static_cast<char>('0' + sum % 10);
    carry = sum / 10;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::string subtract_digits(const std::string& a, const std::string& b) {  // a >= b
  std::string out;
  int borrow = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    int difference = a[a.size() - 1 - i] - '0' - borrow;
    if (i < b.size()) difference -= b[b.size() - 1 - i] - '0';
    borrow = difference < 0 ? 1 : 0;
    out += static_cast<char>('0' + difference + 10 * borrow);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

void round_to_precision(Decimal& d) {
  normalize(d);
  if (d.digits.size() <= kDigits) return;
  const std::string rest = d.digits.substr(kDigits);
  d.exponent += static_cast<int>(rest.size());
  d.digits.resize(kDigits);
  const int half = rest[0] != '5' ? (rest[0] < '5' ? -1 : 1) : (rest.find_first_not_of('0', 1) == rest.npos ? 0 : 1);
  if (half > 0 || (half == 0 && (d.digits.back() - '0') % 2 == 1)) d.digits = add_digits(d.digits, "1");
}

Decimal add(Decimal a, Decimal b) {
  align(a, b);
  Decimal sum{.negative = a.negative, .digits = "0", .exponent = a.exponent};
  if (a.negative == b.negative) {
    sum.digits = add_digits(a.digits, b.digits);
  } else if (compare_digits(a.digits, b.digits) >= 0) {
    sum.digits = subtract_digits(a.digits, b.digits);
  } else {
    sum.negative = b.negative;
    sum.digits = subtract_digits(b.digits, a.digits);
  }
  round_to_precision(sum);
  return sum;
}

bool is_integer(const Scalar& s) { return std::holds_alternative<int64_t>(s) || std::holds_alternative<bool>(s); }
int64_t as_integer(const Scalar& s) {
  const bool* flag = std::get_if<bool>(&s);
  return flag != nullptr ? (*flag ? 1 : 0) : std::get<int64_t>(s);
}
double as_double(const Scalar& s) { return is_integer(s) ? static_cast<double>(as_integer(s)) : std::get<double>(s); }

[[noreturn]] void fail(const std::string& message) { throw ConfigError("ValueError", message); }

[[noreturn]] void too_long() { fail("a range sweep has more than " + std::to_string(kLimit) + " values"); }

}  // namespace

std::vector<Scalar> range_values(const RangeSweep& range) {
  std::vector<Scalar> values;
  if (is_integer(range.start) && is_integer(range.stop) && is_integer(range.step)) {
    const int64_t step = as_integer(range.step), stop = as_integer(range.stop);
    if (step == 0) fail("range() arg 3 must not be zero");
    for (int64_t i = as_integer(range.start); step > 0 ? i < stop : i > stop;) {
      if (values.size() == kLimit) too_long();
      values.emplace_back(i);
      if (__builtin_add_overflow(i, step, &i)) break;
    }
    return values;
  }
  const double start = as_double(range.start), stop = as_double(range.stop), step = as_double(range.step);
  if (std::isnan(start) || std::isnan(stop) || std::isnan(step) || step == 0) {
    fail("Invalid range values (start:" + python_float_text(start) + ", stop:" + python_float_text(stop) +
         ", step:" + python_float_text(step) + ")");
  }
  if (step > 0 ? start >= stop : start <= stop) return values;
  if (std::isinf(stop) || std::isinf(start)) too_long();
  if (std::isinf(step)) return {Scalar(start)};
  Decimal at = from_double(start);
  const Decimal end = from_double(stop), by = from_double(step);
  while (step > 0 ? compare(at, end) < 0 : compare(at, end) > 0) {
    if (values.size() == kLimit) too_long();
    values.emplace_back(to_double(at));
    at = add(at, by);
  }
  return values;
}

}  // namespace fathom::config
