#include "plugins/lib/nn/frame_kernel.h"

#include <algorithm>

namespace fathom::nn {
namespace {

#if defined(__x86_64__)
#define FATHOM_WIDE __attribute__((target("arch=x86-64-v4")))
#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FATHOM_WIDE
#define FATHOM_CLONES
#endif

constexpr int kLane = 16;
typedef float Lane __attribute__((vector_size(kLane * sizeof(float)), aligned(sizeof(float)), may_alias));

template <int Lanes>
FATHOM_WIDE void multiply(const FrameBlock& block, const float* a, float* c) {
  constexpr int kRows = kFrameRows;
  Lane sums[kRows][Lanes];
  for (int v = 0; v < Lanes; ++v) {
    const Lane bias = *reinterpret_cast<const Lane*>(block.bias + v * kLane);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) sums[r][v] = bias;
  }
  const float* weights = block.weights;
  const int64_t lda = block.lda;
  for (int64_t tap = 0; tap < block.taps; ++tap) {
    // Few base pointers: three rows from each.
    const float *p0 = a + tap * block.tap_step, *p1 = p0 + 3 * lda, *p2 = p1 + 3 * lda, *p3 = p2 + 3 * lda;
    for (int64_t k = 0; k < block.in; ++k, weights += Lanes * kLane) {
      Lane w[Lanes];
#pragma GCC unroll 2
      for (int v = 0; v < Lanes; ++v) w[v] = *reinterpret_cast<const Lane*>(weights + v * kLane);
#define FATHOM_ROWS(P, R)                                   \
  _Pragma("GCC unroll 2") for (int v = 0; v < Lanes; ++v) { \
    sums[R][v] += P[k] * w[v];                              \
    sums[R + 1][v] += P[lda + k] * w[v];                    \
    sums[R + 2][v] += P[2 * lda + k] * w[v];                \
  }
      FATHOM_ROWS(p0, 0)
      FATHOM_ROWS(p1, 3)
      FATHOM_ROWS(p2, 6)
      FATHOM_ROWS(p3, 9)
#undef FATHOM_ROWS
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Lanes; ++v) *reinterpret_cast<Lane*>(c + r * block.ldc + v * kLane) = sums[r][v];
  }
}

}  // namespace

bool has_frame_kernel() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  return has;
#else
  return false;
#endif
}

void frame_block(const FrameBlock& block, int64_t columns, const float* a, float* c) {
  if (columns == kFrameColumns) {
    multiply<2>(block, a, c);
  } else {
    multiply<1>(block, a, c);
  }
}

FATHOM_CLONES void leaky_rows(const float* x, int64_t count, float slope, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = x[i] < 0 ? slope * x[i] : x[i];
}

FATHOM_CLONES void add_rows(const float* x, const float* y, int64_t count, float scale, bool add, float* to) {
  if (add) {
    for (int64_t i = 0; i < count; ++i) to[i] += scale * (x[i] + y[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = scale * (x[i] + y[i]);
  }
}

}  // namespace fathom::nn
