// The innermost loops of frame_conv.h.
#pragma once

#include <cstdint>

namespace fathom::nn {

constexpr int64_t kFrameRows = 12, kFrameColumns = 32;  // results that stay in registers

bool has_frame_kernel();

struct FrameBlock {
  int64_t taps, in;
  int64_t tap_step, lda, ldc;  // floats between taps, rows and rows of results
  const float* weights;        // (taps, in, columns)
  const float* bias;           // (columns)
};
// c[r] = bias + the sum over taps and inputs of a[r · lda + tap · tap_step + in] · weights, for kFrameRows rows and 16
// or 32 columns. Only where has_frame_kernel().
void frame_block(const FrameBlock& block, int64_t columns, const float* a, float* c);

// to = x, or slope · x where x < 0. In place is well.
void leaky_rows(const float* x, int64_t count, float slope, float* to);
// to = scale · (x + y), or to += that.
void add_rows(const float* x, const float* y, int64_t count, float scale, bool add, float* to);

}  // namespace fathom::nn
