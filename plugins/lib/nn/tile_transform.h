// Convolutions by fewer multiplications (Toom and Cook; Winograd, "Arithmetic Complexity of Computations", 1980; Lavin
// and Gray 2015, arXiv:1509.09308): four results of a convolution of r taps are those of a polynomial product, which
// points determine. Tiles of n = 4 + r - 1 frames become their values at n points, which are multiplied with those of
// the taps and become results again. Longer kernels are cut into chunks of r = 4 taps, whose tiles are the same ones,
// so that their products are added at the points: 7 taps need 3.5 multiplications a result, 11 need 5.25.
//
// Float32 loses little: the error is up to four times that of the plain sum, 6e-7 of the result. Which of a tile's four
// results a frame is decides how it is rounded, so tiles must lie the same way in a whole and in its parts.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace fathom::nn {

constexpr int64_t kTileOutputs = 4, kMostTilePoints = 7;

// Taps of a chunk: 3 for kernels of 3 taps, else 4; points: taps + 3.
constexpr int64_t tile_taps(int64_t kernel) { return kernel == 3 ? 3 : 4; }

// Rows on either side that a row's bits depend on, in a convolution by tiles with same padding of an odd kernel: those
// of its whole tile, and those that only the zeros meet which fill the last chunk.
constexpr int64_t tile_reach(int64_t kernel, int64_t dilation) {
  const int64_t taps = tile_taps(kernel), filled = (kernel + taps - 1) / taps * taps;
  return ((kernel - 1) / 2 + kTileOutputs - 1 + filled - kernel) * dilation;
}

// A chunk's taps at each point: weights[point][tap].
using TileWeights = std::array<std::array<double, 4>, kMostTilePoints>;
TileWeights tile_weights(int64_t taps);

// Runs of `width` floats (a multiple of 16): rows a + i · step for the frames i of a tile, to + p · stride for its
// values at the points.
void tile_to_points(int64_t points, const float* a, int64_t step, int64_t width, float* to, int64_t stride);
// The four results of a tile, plus bias: to + o · step, for the results o < count.
void points_to_tile(int64_t points, const float* a, int64_t stride, const float* bias, int64_t width, float* to,
                    int64_t step, int64_t count);

}  // namespace fathom::nn
