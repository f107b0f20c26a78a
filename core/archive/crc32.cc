#include "core/archive/crc32.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fathom::checkpoint {
namespace {

// Table k advances a byte over k further zero bytes, so that sixteen bytes are looked up independently of each other.
constexpr size_t kSlices = 16;
using Tables = std::array<std::array<uint32_t, 256>, kSlices>;

constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0xEDB88320U : 0U);
    tables[0][i] = value;
  }
  for (size_t k = 1; k < kSlices; ++k) {
    for (size_t i = 0; i < 256; ++i) tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xff];
  }
  return tables;
}

constexpr Tables kTables = make_tables();

#if defined(__x86_64__)

// The remainder is linear, so that 64 bytes at a time can be replaced by 64 others further on, which leave the same
// one: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009, for
// bits in reverse order. The constants are x^n mod P, reversed and shifted by one.
constexpr int64_t kBy64Low = 0x154442bd4, kBy64High = 0x1c6e41596;  // n = 4*128+32, 4*128-32
constexpr int64_t kBy16Low = 0x1751997d0, kBy16High = 0x0ccaa009e;  // n = 128+32, 128-32
constexpr size_t kFoldFrom = 64, kFoldStep = 16;

__attribute__((target("pclmul,sse4.1"))) __m128i fold(__m128i value, __m128i next, __m128i by) {
  const __m128i low = _mm_clmulepi64_si128(value, by, 0x00), high = _mm_clmulepi64_si128(value, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// Takes what it can from the front of `bytes`. What is left of that is 16 bytes in `rest` with the same remainder, for
// a remainder that was 0 before them.
__attribute__((target("pclmul,sse4.1"))) void fold_front(std::string_view& bytes, uint32_t crc, char* rest) {
  const auto load = [&](size_t at) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at));
  };
  __m128i lanes[4] = {_mm_xor_si128(load(0), _mm_cvtsi32_si128(static_cast<int>(crc))), load(16), load(32), load(48)};
  bytes.remove_prefix(64);
  const __m128i by64 = _mm_set_epi64x(kBy64High, kBy64Low), by16 = _mm_set_epi64x(kBy16High, kBy16Low);
  while (bytes.size() >= 64) {
    for (size_t i = 0; i < 4; ++i) lanes[i] = fold(lanes[i], load(16 * i), by64);
    bytes.remove_prefix(64);
  }
  __m128i value = lanes[0];
  for (size_t i = 1; i < 4; ++i) value = fold(value, lanes[i], by16);
  while (bytes.size() >= kFoldStep) {
    value = fold(value, load(0), by16);
    bytes.remove_prefix(kFoldStep);
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), value);
}

const bool kCanFold = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");

#endif

}  // namespace

uint32_t crc32(std::string_view bytes, uint32_t start) {
#if defined(__x86_64__)
  if (kCanFold && bytes.size() >= kFoldFrom) {
    std::array<char, 16> rest;
    fold_front(bytes, ~start, rest.data());
    return crc32(bytes, crc32({rest.data(), rest.size()}, ~uint32_t{0}));
  }
#endif
  uint32_t crc = ~start;
  const char* at = bytes.data();
  size_t left = bytes.size();
  while (left >= kSlices) {
    uint32_t words[4];
    std::memcpy(words, at, sizeof words);
    words[0] ^= crc;
    crc = 0;
    for (size_t w = 0; w < 4; ++w) {
      const size_t base = 15 - 4 * w;
      crc ^= kTables[base][words[w] & 0xff] ^ kTables[base - 1][(words[w] >> 8) & 0xff] ^
             kTables[base - 2][(words[w] >> 16) & 0xff] ^ kTables[base - 3][words[w] >> 24];
    }
    at += kSlices;
    left -= kSlices;
  }
  for (; left > 0; --left, ++at) crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<uint8_t>(*at)) & 0xff];
  return ~crc;
}

}  // namespace fathom::checkpoint
