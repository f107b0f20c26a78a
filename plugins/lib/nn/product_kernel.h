// Matrix products on the micro-kernels that libtorch takes from oneDNN (at::native::cpublas::brgemm): no packing of
// their own, and on processors with AVX-512 the speed of oneDNN's whole products, which at::conv1d and BLAS do not
// reach. Elsewhere the float32 products run on BLAS, through the same function of libtorch.
//
// Why here: a convolution of kernel 1 over (channels, frames) is such a product, and whoever calls it block by block
// can work on a block's rows while they are in the cache.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace fathom::nn {

struct ProductShape {
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;  // elements between rows
};

// Rows to a call that keeps its block of c in the second-level cache: how callers share work among threads.
constexpr int64_t kProductRows = 64;
// libtorch keeps a compiled kernel for every shape it has seen, for ever: callers split frames into panels of at most
// this many, a multiple of kPanelStep, so that shapes stay few whatever the lengths of utterances.
constexpr int64_t kPanelFrames = 512, kPanelStep = 16;

// c (m, n) = a (m, k) b (k, n), or c += a b. One thread.
void product(const ProductShape& shape, const float* a, const float* b, float* c, bool add);

// Whether product() beats a BLAS that packs: on AMD's processors with AVX-512, while oneDNN is not switched off.
bool faster_than_blas();

// The same of bfloat16, summed in float32. b has the rows 2 i and 2 i + 1 in turns, (k / 2, n, 2), and k is even: see
// interleave_rows. Only where pairs_supported().
void product(const ProductShape& shape, const c10::BFloat16* a, const c10::BFloat16* b, float* c, bool add);
bool pairs_supported();

// The same of bytes, summed in 32 bits. b has four rows in turns, (k / 4, n, 4), and k is a multiple of 4. Only where
// quads_supported() (AVX512-VNNI).
void product(const ProductShape& shape, const uint8_t* a, const int8_t* b, int32_t* c, bool add);
bool quads_supported();

// The width of panels that share n columns as evenly as steps allow: at most kPanelFrames, and no thin one at the end.
int64_t even_panel(int64_t n);

// x (rows, columns) with ldx between rows, rows even -> out (rows / 2, columns, 2).
void interleave_rows(const c10::BFloat16* x, int64_t rows, int64_t columns, int64_t ldx, c10::BFloat16* out);
// x (rows, columns) -> out (columns, rows).
// Pairs of columns become pairs of rows, what a product of bfloat16 wants of b: out (columns / 2, rows, 2). columns and
// ldx are even.
void transpose(const float* x, int64_t rows, int64_t columns, int64_t ldx, float* out);
void transpose_pairs(const c10::BFloat16* x, int64_t rows, int64_t columns, int64_t ldx, c10::BFloat16* out);

}  // namespace fathom::nn
