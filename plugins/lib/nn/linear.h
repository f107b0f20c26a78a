// torch.nn.Linear's forward where there is no graph to build.
#pragma once

#include <torch/nn/modules/linear.h>

namespace fathom::nn {

// x (..., in) -> (..., out), as layer(x). Where nothing wants a gradient, products of float32 on AMD's processors with
// AVX-512 run on product_kernel.h: BLAS takes a general kernel there. Everything else is at::linear.
at::Tensor linear(torch::nn::LinearImpl& layer, const at::Tensor& x);

}  // namespace fathom::nn
