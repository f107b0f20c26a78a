// The convolutions of a Jasper-like block as one differentiable function: [depthwise,] pointwise, batch norm, ReLU,
// again and again, with a residual branch at the end.
//
// Why one function: between two products nothing but a row's loops is left. A norm's statistics are taken from the
// product's rows while they are in the cache, the norm and the ReLU happen where the next depthwise convolution reads
// its row, and their results are not kept for the backward pass but made again there. Per stage two tensors are kept
// instead of four, and the passes over memory that are left are the products'.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/batchnorm.h>

#include <optional>
#include <vector>

#include "plugins/lib/nn/length_mask.h"

namespace fathom::nn {

// x -> norm(pointwise(depthwise(x))). Samples beyond mask's lengths count as 0; so do the depthwise convolution's
// outputs beyond out_mask's. Null: all count.
struct ChainStage {
  at::Tensor depthwise;                                           // (C, 1, K), or undefined: none
  int64_t stride = 1, dilation = 1, pad_left = 0, pad_right = 0;  // its
  LengthMaskPtr mask, out_mask;
  at::Tensor pointwise;  // (C', C, 1)
  torch::nn::BatchNorm1dImpl* norm = nullptr;
};

// Whether conv_chain may run: float32 on the CPU, or autocast to bfloat16 where the processor has products of it; batch
// norms with running statistics, windows that fit, oneDNN not switched off. Elsewhere the layers run one by one, with
// the same values.
bool conv_chain_applies(const at::Tensor& x, const std::vector<ChainStage>& stages,
                        const std::optional<ChainStage>& residual);

// x (B, C, T) -> (B, C', T'): stages with a ReLU between them, plus the residual stage of x where there is one (no
// depthwise convolution), and a ReLU at the end if `relu`. The norms' running statistics are updated when they train.
// Differentiable any number of times. Threads: splits its work with at::parallel_for; sums do not depend on their
// number.
at::Tensor conv_chain(const at::Tensor& x, const std::vector<ChainStage>& stages,
                      const std::optional<ChainStage>& residual, bool relu);

}  // namespace fathom::nn
