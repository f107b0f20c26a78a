// CRC-32 as in zip and gzip (reflected polynomial 0xEDB88320, initial and final complement).
#pragma once

#include <cstdint>
#include <string_view>

namespace fathom::checkpoint {

// Pass the result back in as `start` to continue over the next piece. Thread-safe.
uint32_t crc32(std::string_view bytes, uint32_t start = 0);

}  // namespace fathom::checkpoint
