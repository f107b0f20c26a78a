#include "plugins/lib/nn/product_kernel.h"

#include <ATen/Context.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <array>

namespace fathom::nn {
namespace {

#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

bool has_own_kernels() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  return has;
#else
  return false;
#endif
}

// Summed over at a time: a block of b that stays in the second-level cache. BLAS blocks by itself.
int64_t depth() { return has_own_kernels() ? 256 : INT64_MAX; }

template <typename A, typename B, typename C>
void blocked(const ProductShape& s, const A* a, const B* b, C* c, bool add, bool pairs) {
  const int64_t step = std::min(depth(), s.k);
  for (int64_t k = 0; k < s.k; k += step) {
    at::native::cpublas::brgemm(s.m, s.n, std::min(step, s.k - k), s.lda, s.ldb, s.ldc, add || k > 0, a + k,
                                b + k * s.ldb, c, pairs);
  }
}

constexpr int64_t kBlock = 16;
typedef uint32_t Words __attribute__((vector_size(kBlock * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));

// Exchanges the upper right quarter of every 2 Step x 2 Step square with its lower left one.
#define FATHOM_EXCHANGE(STEP, ...)                                             \
  for (int i = 0; i < kBlock; ++i) {                                           \
    if ((i & STEP) != 0) continue;                                             \
    const Words upper = rows[i], lower = rows[i + STEP], mask = {__VA_ARGS__}; \
    rows[i] = __builtin_shuffle(upper, lower, mask);                           \
    rows[i + STEP] = __builtin_shuffle(upper, lower, mask + STEP);             \
  }

// Blocks of 16 x 16 words, each a cache line a row on both sides.
FATHOM_CLONES void transpose_words(const uint32_t* x, int64_t height, int64_t width, int64_t ldx, uint32_t* out,
                                   int64_t ldo) {
  const int64_t whole_rows = height / kBlock * kBlock, whole_columns = width / kBlock * kBlock;
  for (int64_t r = 0; r < whole_rows; r += kBlock) {
    for (int64_t c = 0; c < whole_columns; c += kBlock) {
      Words rows[kBlock];
      for (int i = 0; i < kBlock; ++i) rows[i] = *reinterpret_cast<const Words*>(x + (r + i) * ldx + c);
      FATHOM_EXCHANGE(8, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
      FATHOM_EXCHANGE(4, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27)
      FATHOM_EXCHANGE(2, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
      FATHOM_EXCHANGE(1, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30)
      for (int i = 0; i < kBlock; ++i) *reinterpret_cast<Words*>(out + (c + i) * ldo + r) = rows[i];
    }
  }
  for (int64_t r = 0; r < height; ++r) {
    for (int64_t c = r < whole_rows ? whole_columns : 0; c < width; ++c) out[c * ldo + r] = x[r * ldx + c];
  }
}
#undef FATHOM_EXCHANGE

FATHOM_CLONES void interleave_two(const uint16_t* even, const uint16_t* odd, int64_t n, uint32_t* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<uint32_t>(even[i]) | static_cast<uint32_t>(odd[i]) << 16;
}

}  // namespace

void product(const ProductShape& shape, const float* a, const float* b, float* c, bool add) {
  blocked(shape, a, b, c, add, false);
}
void product(const ProductShape& shape, const c10::BFloat16* a, const c10::BFloat16* b, float* c, bool add) {
  blocked(shape, a, b, c, add, true);
}

void product(const ProductShape& shape, const uint8_t* a, const int8_t* b, int32_t* c, bool add) {
  blocked(shape, a, b, c, add, true);
}

int64_t even_panel(int64_t n) {
  const int64_t count = (n + kPanelFrames - 1) / kPanelFrames;
  return ((n + count - 1) / count + kPanelStep - 1) / kPanelStep * kPanelStep;
}

bool faster_than_blas() {
#if defined(__x86_64__)
  static const bool amd = __builtin_cpu_is("amd") && has_own_kernels();
  return amd && at::globalContext().userEnabledMkldnn();
#else
  return false;
#endif
}

bool pairs_supported() {
  // There is no question to ask: the function refuses pairs where its kernels do not exist.
  static const bool supported = [] {
    std::array<c10::BFloat16, 32> a, b;
    std::array<float, 256> c{};
    a.fill(1.0F), b.fill(1.0F);
    try {
      at::native::cpublas::brgemm(16, 16, 2, 2, 16, 16, false, a.data(), b.data(), c.data(), true);
    } catch (const std::exception&) {
      return false;
    }
    return c[0] == 2 && c[255] == 2;
  }();
  return supported;
}

bool quads_supported() {
  static const bool supported = [] {
    std::array<uint8_t, 64> a;
    std::array<int8_t, 64> b;
    std::array<int32_t, 256> c{};
    a.fill(200), b.fill(-100);  // products that 16 bits would not hold
    try {
      at::native::cpublas::brgemm(16, 16, 4, 4, 16, 16, false, a.data(), b.data(), c.data(), true);
    } catch (const std::exception&) {
      return false;
    }
    return c[0] == -80000 && c[255] == -80000;
  }();
  return supported;
}

void interleave_rows(const c10::BFloat16* x, int64_t rows, int64_t columns, int64_t ldx, c10::BFloat16* out) {
  for (int64_t r = 0; r < rows; r += 2) {
    const auto* even = reinterpret_cast<const uint16_t*>(x + r * ldx);
    interleave_two(even, even + ldx, columns, reinterpret_cast<uint32_t*>(out + r * columns));
  }
}

void transpose(const float* x, int64_t rows, int64_t columns, int64_t ldx, float* out) {
  transpose_words(reinterpret_cast<const uint32_t*>(x), rows, columns, ldx, reinterpret_cast<uint32_t*>(out), rows);
}
void transpose_pairs(const c10::BFloat16* x, int64_t rows, int64_t columns, int64_t ldx, c10::BFloat16* out) {
  transpose_words(reinterpret_cast<const uint32_t*>(x), rows, columns / 2, ldx / 2, reinterpret_cast<uint32_t*>(out),
                  rows);
}

}  // namespace fathom::nn
