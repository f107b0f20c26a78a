#include "plugins/lib/nn/tile_transform.h"

#include <cstddef>

namespace fathom::nn {
namespace {

#if defined(__x86_64__)
#define FATHOM_TILE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FATHOM_TILE_CLONES
#endif

constexpr int kTileLane = 16;
typedef float TileLane __attribute__((vector_size(kTileLane * sizeof(float)), aligned(sizeof(float)), may_alias));

// The last point is infinity. Chosen for small errors among the fractions that float32 holds exactly.
template <int Points>
struct TilePoints;
template <>
struct TilePoints<6> {
  static constexpr std::array<double, 5> at = {0, 1, -1, 0.5, -2};
};
template <>
struct TilePoints<7> {
  static constexpr std::array<double, 6> at = {0, 1, -1, 2, -2, 0.5};
};

template <int Points>
struct TileMatrices {
  std::array<std::array<float, Points>, Points> input{};         // of frames, for each point
  std::array<std::array<float, Points>, kTileOutputs> output{};  // of points, for each result
  std::array<double, Points> scale{};                            // of the taps
};

// A point's row of the input's matrix are the coefficients of the product of (x - b) over all other points b.
template <int Points>
constexpr TileMatrices<Points> tile_matrices() {
  TileMatrices<Points> out;
  constexpr auto& points = TilePoints<Points>::at;
  for (int p = 0; p < Points; ++p) {
    std::array<double, Points + 1> product{};
    product[0] = 1;
    double scale = 1;
    for (int q = 0; q + 1 < Points; ++q) {
      if (q == p) continue;
      for (int i = Points; i > 0; --i) product[i] = product[i - 1] - points[q] * product[i];
      product[0] *= -points[q];
      if (p + 1 < Points) scale *= points[p] - points[q];
    }
    for (int i = 0; i < Points; ++i) out.input[p][i] = static_cast<float>(product[i]);
    out.scale[p] = 1 / scale;
    double power = 1;
    for (int o = 0; o < kTileOutputs; ++o) {
      out.output[o][p] = p + 1 < Points ? static_cast<float>(power) : o + 1 == kTileOutputs ? 1.0F : 0.0F;
      if (p + 1 < Points) power *= points[p];
    }
  }
  return out;
}

template <int Points>
inline __attribute__((always_inline)) void to_points(const float* a, int64_t step, int64_t width, float* to,
                                                     int64_t stride) {
  static constexpr TileMatrices<Points> kMatrices = tile_matrices<Points>();
  for (int64_t c = 0; c < width; c += kTileLane) {
    TileLane x[Points];
#pragma GCC unroll 7
    for (int i = 0; i < Points; ++i) x[i] = *reinterpret_cast<const TileLane*>(a + i * step + c);
#pragma GCC unroll 7
    for (int p = 0; p < Points; ++p) {
      TileLane sum{};
#pragma GCC unroll 7
      for (int i = 0; i < Points; ++i) {
        if (kMatrices.input[p][i] != 0) sum += kMatrices.input[p][i] * x[i];
      }
      *reinterpret_cast<TileLane*>(to + p * stride + c) = sum;
    }
  }
}

template <int Points>
inline __attribute__((always_inline)) void from_points(const float* a, int64_t stride, const float* bias, int64_t width,
                                                       float* to, int64_t step, int64_t count) {
  static constexpr TileMatrices<Points> kMatrices = tile_matrices<Points>();
  for (int64_t c = 0; c < width; c += kTileLane) {
    TileLane x[Points];
#pragma GCC unroll 7
    for (int p = 0; p < Points; ++p) x[p] = *reinterpret_cast<const TileLane*>(a + p * stride + c);
    const TileLane offset = *reinterpret_cast<const TileLane*>(bias + c);
#pragma GCC unroll 4
    for (int o = 0; o < kTileOutputs; ++o) {
      if (o >= count) break;
      TileLane sum = offset;
#pragma GCC unroll 7
      for (int p = 0; p < Points; ++p) {
        if (kMatrices.output[o][p] != 0) sum += kMatrices.output[o][p] * x[p];
      }
      *reinterpret_cast<TileLane*>(to + o * step + c) = sum;
    }
  }
}

}  // namespace

TileWeights tile_weights(int64_t taps) {
  TileWeights out{};
  const auto fill = [&](const auto& points, const auto& matrices) {
    for (size_t p = 0; p < points.size(); ++p) {
      double power = 1;
      for (int64_t k = 0; k < taps; ++k, power *= points[p]) out[p][static_cast<size_t>(k)] = power * matrices.scale[p];
    }
    out[points.size()][static_cast<size_t>(taps - 1)] = 1;
  };
  if (taps == 3)
    fill(TilePoints<6>::at, tile_matrices<6>());
  else
    fill(TilePoints<7>::at, tile_matrices<7>());
  return out;
}

FATHOM_TILE_CLONES void tile_to_points(int64_t points, const float* a, int64_t step, int64_t width, float* to,
                                       int64_t stride) {
  if (points == 6)
    to_points<6>(a, step, width, to, stride);
  else
    to_points<7>(a, step, width, to, stride);
}

FATHOM_TILE_CLONES void points_to_tile(int64_t points, const float* a, int64_t stride, const float* bias, int64_t width,
                                       float* to, int64_t step, int64_t count) {
  if (points == 6)
    from_points<6>(a, stride, bias, width, to, step, count);
  else
    from_points<7>(a, stride, bias, width, to, step, count);
}

}  // namespace fathom::nn
