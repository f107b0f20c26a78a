// The depthwise 1-d convolution as a differentiable function.
#pragma once

#include <ATen/core/Tensor.h>

#include "plugins/lib/nn/length_mask.h"

namespace fathom::nn {

struct DepthwiseOptions {
  int64_t stride = 1, dilation = 1;
  int64_t pad_left = 0, pad_right = 0;
  // Samples of x beyond these lengths count as 0; outputs beyond out_mask's are 0. Null: every sample counts.
  LengthMaskPtr mask, out_mask;
};

// x (B, C, T), weight (F, 1, K), bias (F) or undefined -> (B, C, T'), where F divides C: channel c uses filter c % F (F
// == C is the plain depthwise convolution) and T' = (T + pads - dilation (K - 1) - 1) / stride + 1. float32 and float64
// on the CPU run on the kernels of depthwise_kernel.h; anything else (other devices and dtypes, autocast, tracing,
// weights that are not finite) runs on at::conv1d. Both give the same values. Differentiable any number of times.
at::Tensor depthwise_conv1d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const DepthwiseOptions& options);

// Whether own CPU kernels may stand in for aten's operators on these tensors (see above).
bool own_kernels_apply(const at::Tensor& x, const at::Tensor& weight);
// Whether a contiguous float32 or float64 tensor holds neither NaN nor infinities: the kernels multiply the padding's
// zeros by the weights too.
bool weights_are_finite(const at::Tensor& weight);

}  // namespace fathom::nn
