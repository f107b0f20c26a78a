#include "core/archive/crc32.h"

#include <array>
#include <cstring>

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

}  // namespace

uint32_t crc32(std::string_view bytes, uint32_t start) {
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
