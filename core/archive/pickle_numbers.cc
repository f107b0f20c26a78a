#include "core/archive/pickle_numbers.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::checkpoint {
namespace {

float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 0)
    return std::bit_cast<float>(sign) + (sign ? -1.0F : 1.0F) * static_cast<float>(mantissa) * 0x1p-24F;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

}  // namespace

std::string decimal_of(std::string_view bytes) {
  const bool negative = (static_cast<uint8_t>(bytes.back()) & 0x80) != 0;
  std::vector<uint32_t> limbs;  // magnitude, little endian, base 2^32
  uint32_t carry = negative ? 1 : 0;
  for (size_t i = 0; i < bytes.size(); i += 4) {
    uint64_t limb = 0;
    for (size_t k = 0; k < 4; ++k) {
      const uint8_t byte = i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : (negative ? 0xff : 0);
      limb |= static_cast<uint64_t>(byte) << (8 * k);
    }
    if (negative) {
      limb = static_cast<uint64_t>(~static_cast<uint32_t>(limb)) + carry;
      carry = static_cast<uint32_t>(limb >> 32);
    }
    limbs.push_back(static_cast<uint32_t>(limb));
  }
  std::string digits;
  while (!limbs.empty()) {
    uint64_t rest = 0;
    for (size_t i = limbs.size(); i-- > 0;) {
      const uint64_t value = (rest << 32) | limbs[i];
      limbs[i] = static_cast<uint32_t>(value / 1'000'000'000);
      rest = value % 1'000'000'000;
    }
    while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
    std::string group = std::to_string(rest);
    if (!limbs.empty()) group.insert(0, 9 - group.size(), '0');
    digits.insert(0, group);
  }
  return negative ? "-" + digits : digits;
}

std::string latin1(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    char32_t code = 0;
    const size_t length = utf8::decode(text, at, &code);
    if (length == 0 || code > 0xff)
      throw Error(Code::kBadData, "a byte string of the pickle holds a character beyond latin-1");
    out += static_cast<char>(code);
    at += length;
  }
  return out;
}

std::optional<PickleValue> numpy_number(std::string_view code, std::string bytes, bool big_endian) {
  if (code.size() != 2 || static_cast<size_t>(code[1] - '0') != bytes.size() || bytes.empty() || bytes.size() > 8) {
    return std::nullopt;
  }
  if (big_endian) std::reverse(bytes.begin(), bytes.end());
  uint64_t bits = 0;
  std::memcpy(&bits, bytes.data(), bytes.size());
  const size_t unused = 64 - 8 * bytes.size();
  switch (code[0]) {
    case 'b': return PickleValue(bits != 0);
    case 'i': return PickleValue(static_cast<int64_t>(bits << unused) >> unused);
    case 'u':
      if (bits > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return PickleValue::big_int(std::to_string(bits));
      }
      return PickleValue(static_cast<int64_t>(bits));
    case 'f':
      if (bytes.size() == 8) return PickleValue(std::bit_cast<double>(bits));
      if (bytes.size() == 4) return PickleValue(static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits))));
      if (bytes.size() == 2) return PickleValue(static_cast<double>(half_to_float(static_cast<uint16_t>(bits))));
      return std::nullopt;
    default: return std::nullopt;
  }
}

}  // namespace fathom::checkpoint
