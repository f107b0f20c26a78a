// The normalisations of a convolution's output, (B, C, T).
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/normalization.h>

#include <string>

#include "plugins/lib/nn/activation.h"

namespace fathom::nn {

// mode: batch (eps 1e-3, momentum 0.1), layer (one group over channels and time), instance (a group per channel) or
// group (norm_groups groups; -1: a group per channel). Parameters and buffers have torch's names.
std::shared_ptr<torch::nn::Module> make_norm(const std::string& mode, int64_t channels, int64_t norm_groups);

// What follows a norm: dropout(activation(norm(x) + residual)), each optional. Batch norms of float32 and float64 on
// the CPU with ReLU or without an activation run on norm_kernel.h, forward and backward, training or not; anything else
// runs on aten's operators. Both give the same values; the kernels draw dropout from 16 bits an element (the
// probability is rounded to 1/65536) of torch's default generator.
struct NormTail {
  const at::Tensor* residual = nullptr;
  const Activation* activation = nullptr;
  double dropout = 0;  // the probability now: 0 when evaluating
};
at::Tensor apply_norm(torch::nn::Module& norm, const at::Tensor& x, const NormTail& tail = {});

}  // namespace fathom::nn
