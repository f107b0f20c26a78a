#include "plugins/loggers/checksum.h"

#include <array>

namespace fathom::loggers {
namespace {

using CrcTable = std::array<uint32_t, 256>;

constexpr CrcTable make_crc_table(uint32_t reversed_polynomial) {
  CrcTable table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? reversed_polynomial : 0u);
    table[i] = value;
  }
  return table;
}
constexpr CrcTable kCastagnoli = make_crc_table(0x82f63b78u), kIeee = make_crc_table(0xedb88320u);

uint32_t checksum(const CrcTable& table, std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char c : bytes) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return crc ^ 0xffffffffu;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) { return checksum(kCastagnoli, bytes); }
uint32_t crc32(std::string_view bytes) { return checksum(kIeee, bytes); }

}  // namespace fathom::loggers
