// Attention without a graph to build: blocks of queries whose scores stay in the cache, on the micro-kernels of
// product_kernel.h. Of relative positions only the columns that a block needs are multiplied, half of what the shift of
// the whole matrix (relative_shift) throws away.
#pragma once

#include <ATen/core/Tensor.h>

#include "plugins/lib/nn/attention_mask.h"

namespace fathom::nn {

struct AttentionHeads {
  at::Tensor queries;         // (B, Q, D), scaled
  at::Tensor keys, values;    // (B, K, D); the queries are the last of the keys where there are positions
  at::Tensor positions;       // (2 K - 1, D), from K - 1 down to 1 - K, or undefined
  at::Tensor bias_u, bias_v;  // (D), scaled: added to the queries before they meet keys, and positions; or undefined
  int64_t heads = 1;
};

// Whether blocked_attention() can, and is the faster way.
bool prefers_blocks(const AttentionHeads& x, bool half);

// -> (B, Q, D), heads side by side. `half`: products of bfloat16, summed in float32. Items and heads are shared among
// threads; an item's result does not depend on the others.
at::Tensor blocked_attention(const AttentionHeads& x, const AttentionMask& mask, bool half);

}  // namespace fathom::nn
