// torch.nn.functional.linear where there is no graph to build.
#pragma once

#include <ATen/core/Tensor.h>

namespace fathom::nn {

// x (..., in), weight (out, in), bias (out) or undefined -> (..., out). Where nothing wants a gradient, products of
// float32 on AMD's processors with AVX-512 run on product_kernel.h: BLAS takes a general kernel there. Everything else
// is at::linear. A weight that was packed (packed_linear.h) is multiplied as it was packed.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// layer(x), with torch::nn::Linear or whatever has its weight and bias.
template <typename Layer>
at::Tensor linear(const at::Tensor& x, const Layer& layer) {
  return linear(x, layer->weight, layer->bias);
}

}  // namespace fathom::nn
