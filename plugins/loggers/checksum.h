// The two cyclic redundancy checks of log files: Castagnoli's (TensorBoard's records) and IEEE's (W&B's, PNG).
#pragma once

#include <cstdint>
#include <string_view>

namespace fathom::loggers {

uint32_t crc32c(std::string_view bytes);
uint32_t crc32(std::string_view bytes);

}  // namespace fathom::loggers
