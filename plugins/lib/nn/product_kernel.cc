#include "plugins/lib/nn/product_kernel.h"

#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <array>

namespace fathom::nn {
namespace {

#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

// Summed over at a time: a block of b that stays in the second-level cache. BLAS blocks by itself.
int64_t depth() {
#if defined(__x86_64__)
  static const bool own_kernels = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  if (own_kernels) return 256;
#endif
  return INT64_MAX;
}

template <typename T>
void blocked(const ProductShape& s, const T* a, const T* b, float* c, bool add, bool pairs) {
  const int64_t step = std::min(depth(), s.k);
  for (int64_t k = 0; k < s.k; k += step) {
    at::native::cpublas::brgemm(s.m, s.n, std::min(step, s.k - k), s.lda, s.ldb, s.ldc, add || k > 0, a + k,
                                b + k * s.ldb, c, pairs);
  }
}

// Blocks of 16 x 16 so that both sides are whole cache lines.
FATHOM_CLONES void transpose_words(const uint32_t* x, int64_t rows, int64_t columns, int64_t ldx, uint32_t* out,
                                   int64_t ldo) {
  constexpr int64_t kBlock = 16;
  uint32_t block[kBlock][kBlock];
  for (int64_t r = 0; r < rows; r += kBlock) {
    for (int64_t c = 0; c < columns; c += kBlock) {
      const int64_t height = std::min(kBlock, rows - r), width = std::min(kBlock, columns - c);
      if (height == kBlock && width == kBlock) {
        for (int i = 0; i < kBlock; ++i) {
          for (int j = 0; j < kBlock; ++j) block[j][i] = x[(r + i) * ldx + c + j];
        }
        for (int j = 0; j < kBlock; ++j) {
          for (int i = 0; i < kBlock; ++i) out[(c + j) * ldo + r + i] = block[j][i];
        }
        continue;
      }
      for (int64_t i = 0; i < height; ++i) {
        for (int64_t j = 0; j < width; ++j) out[(c + j) * ldo + r + i] = x[(r + i) * ldx + c + j];
      }
    }
  }
}

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
