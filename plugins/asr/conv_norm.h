// The normalisations of a convolution's output, (B, C, T).
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/normalization.h>

#include <string>

#include "activation.h"

namespace fathom::asr {

// mode: batch (eps 1e-3, momentum 0.1), layer (one group over channels and time), instance (a group per channel) or group
// (norm_groups groups; -1: a group per channel). Parameters and buffers have torch's names.
std::shared_ptr<torch::nn::Module> make_norm(const std::string& mode, int64_t channels, int64_t norm_groups);

// activation(norm(x) + residual); the activation and the residual are optional. One pass over memory for a batch norm with
// ReLU on the CPU, both when training and not.
struct NormTail {
  const at::Tensor* residual = nullptr;
  const Activation* activation = nullptr;
};
at::Tensor apply_norm(torch::nn::Module& norm, const at::Tensor& x, const NormTail& tail = {});

}  // namespace fathom::asr
