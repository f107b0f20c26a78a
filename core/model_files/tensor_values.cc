#include "core/model_files/tensor_values.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace fathom::model_files {
namespace {

using checkpoint::TensorDtype;

// A binary floating point format of up to 16 bits.
struct SmallFloat {
  int exponent_bits, mantissa_bits, bias;
  enum class Special : uint8_t {
    kIeee,     // the largest exponent: infinity and NaN
    kOnlyNan,  // e4m3fn: all ones is NaN, no infinity
    kFnuz      // the negative zero is NaN, no infinity
  } special;
};

double decode(uint32_t bits, const SmallFloat& f) {
  const int width = 1 + f.exponent_bits + f.mantissa_bits;
  const bool negative = (bits >> (width - 1) & 1U) != 0;
  const uint32_t mantissa_mask = (1U << f.mantissa_bits) - 1, exponent_mask = (1U << f.exponent_bits) - 1;
  const uint32_t mantissa = bits & mantissa_mask, exponent = bits >> f.mantissa_bits & exponent_mask;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (f.special == SmallFloat::Special::kIeee && exponent == exponent_mask) {
    if (mantissa != 0) return kNan;
    return negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
  if (f.special == SmallFloat::Special::kOnlyNan && exponent == exponent_mask && mantissa == mantissa_mask) return kNan;
  if (f.special == SmallFloat::Special::kFnuz && negative && exponent == 0 && mantissa == 0) return kNan;
  const double fraction = static_cast<double>(mantissa) + (exponent == 0 ? 0.0 : std::ldexp(1.0, f.mantissa_bits));
  const double value =
      std::ldexp(fraction, (exponent == 0 ? 1 : static_cast<int>(exponent)) - f.bias - f.mantissa_bits);
  return negative ? -value : value;
}

template <typename T>
void widen(const char* from, size_t count, double* out) {
  for (size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof value, sizeof value);
    out[i] = static_cast<double>(value);
  }
}

template <typename Bits>
void widen_small(const char* from, size_t count, double* out, const SmallFloat& format) {
  for (size_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, from + i * sizeof bits, sizeof bits);
    out[i] = decode(bits, format);
  }
}

bool is_complex(TensorDtype dtype) {
  return dtype == TensorDtype::kComplex32 || dtype == TensorDtype::kComplex64 || dtype == TensorDtype::kComplex128;
}

// `count` numbers; a complex element is two.
void to_doubles(TensorDtype dtype, const char* from, size_t count, double* out) {
  using Special = SmallFloat::Special;
  switch (dtype) {
    case TensorDtype::kBool:
      for (size_t i = 0; i < count; ++i) out[i] = from[i] != 0 ? 1 : 0;
      return;
    case TensorDtype::kUInt8: return widen<uint8_t>(from, count, out);
    case TensorDtype::kInt8: return widen<int8_t>(from, count, out);
    case TensorDtype::kInt16: return widen<int16_t>(from, count, out);
    case TensorDtype::kInt32: return widen<int32_t>(from, count, out);
    case TensorDtype::kInt64: return widen<int64_t>(from, count, out);
    case TensorDtype::kUInt16: return widen<uint16_t>(from, count, out);
    case TensorDtype::kUInt32: return widen<uint32_t>(from, count, out);
    case TensorDtype::kUInt64: return widen<uint64_t>(from, count, out);
    case TensorDtype::kFloat32:
    case TensorDtype::kComplex64: return widen<float>(from, count, out);
    case TensorDtype::kFloat64:
    case TensorDtype::kComplex128: return widen<double>(from, count, out);
    case TensorDtype::kFloat16:
    case TensorDtype::kComplex32: return widen_small<uint16_t>(from, count, out, {5, 10, 15, Special::kIeee});
    case TensorDtype::kBFloat16: return widen_small<uint16_t>(from, count, out, {8, 7, 127, Special::kIeee});
    case TensorDtype::kFloat8E4M3FN: return widen_small<uint8_t>(from, count, out, {4, 3, 7, Special::kOnlyNan});
    case TensorDtype::kFloat8E5M2: return widen_small<uint8_t>(from, count, out, {5, 2, 15, Special::kIeee});
    case TensorDtype::kFloat8E4M3FNUZ: return widen_small<uint8_t>(from, count, out, {4, 3, 8, Special::kFnuz});
    case TensorDtype::kFloat8E5M2FNUZ: return widen_small<uint8_t>(from, count, out, {5, 2, 16, Special::kFnuz});
  }
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

void note(ValueDifference& out, double a, double b) {
  if (same(a, b)) return;
  ++out.elements;
  if (std::isnan(a) || std::isnan(b))
    out.has_nan = true;
  else
    out.largest = std::max(out.largest, std::abs(a - b));
}

template <typename T>
ValueDifference compare_integers(std::string_view a, std::string_view b, uint64_t count) {
  ValueDifference out;
  for (uint64_t i = 0; i < count; ++i) {
    T x, y;
    std::memcpy(&x, a.data() + i * sizeof x, sizeof x);
    std::memcpy(&y, b.data() + i * sizeof y, sizeof y);
    if (x == y) continue;
    ++out.elements;
    const auto apart = static_cast<__int128>(x) - static_cast<__int128>(y);
    out.largest = std::max(out.largest, static_cast<double>(apart < 0 ? -apart : apart));
  }
  return out;
}

}  // namespace

std::optional<ValueDifference> compare_values(TensorDtype a_dtype, std::string_view a, TensorDtype b_dtype,
                                              std::string_view b, uint64_t count) {
  if (a_dtype == b_dtype) {
    if (a == b) return ValueDifference{};
    if (a_dtype == TensorDtype::kInt64) return compare_integers<int64_t>(a, b, count);
    if (a_dtype == TensorDtype::kUInt64) return compare_integers<uint64_t>(a, b, count);
  }
  if (is_complex(a_dtype) != is_complex(b_dtype)) return std::nullopt;
  const bool complex = is_complex(a_dtype);
  const size_t a_size = checkpoint::info_of(a_dtype).size, b_size = checkpoint::info_of(b_dtype).size;
  constexpr size_t kBlock = 1024;
  std::array<double, 2 * kBlock> x, y;
  ValueDifference out;
  for (uint64_t i = 0; i < count; i += kBlock) {
    const auto n = static_cast<size_t>(std::min<uint64_t>(kBlock, count - i));
    const size_t numbers = complex ? 2 * n : n;
    to_doubles(a_dtype, a.data() + i * a_size, numbers, x.data());
    to_doubles(b_dtype, b.data() + i * b_size, numbers, y.data());
    for (size_t k = 0; k < n; ++k) {
      if (!complex) {
        note(out, x[k], y[k]);
      } else if (!same(x[2 * k], y[2 * k]) || !same(x[2 * k + 1], y[2 * k + 1])) {
        note(out, std::hypot(x[2 * k] - y[2 * k], x[2 * k + 1] - y[2 * k + 1]), 0);
      }
    }
  }
  return out;
}

}  // namespace fathom::model_files
