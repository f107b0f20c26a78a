// Dynamic time warping (Sakoe & Chiba 1978): which frames of two recordings of one text belong together. Uses no torch;
// thread-safe.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace fathom::tts {

// Pairs (row, column) of the cheapest way from (0, 0) to (rows - 1, columns - 1) by steps of one row, one column or
// both; where ways are equally cheap, both first. `cost` (rows, columns), row by row. Memory: 9 bytes a cell. Both at
// least 1.
std::vector<std::pair<int64_t, int64_t>> align_frames(const float* cost, int64_t rows, int64_t columns);

}  // namespace fathom::tts
