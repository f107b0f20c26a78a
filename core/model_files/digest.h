// SHA-256 (FIPS 180-4) and MD5 (RFC 1321) of bytes, as lower-case hexadecimal text. MD5 only names folders of NeMo's
// cache. Not thread-safe for one object.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::model_files {

class Sha256 {
 public:
  void add(std::string_view bytes);
  std::string hex();  // ends the message

 private:
  void block(const uint8_t* bytes);
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> rest_ = {};
  size_t held_ = 0;
  uint64_t length_ = 0;  // bytes
};

std::string sha256_hex(std::string_view bytes);
std::string md5_hex(std::string_view bytes);

}  // namespace fathom::model_files
