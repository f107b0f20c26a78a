// Squeeze and excitation over time (arXiv:1709.01507), as Citrinet uses it. Children: fc.0, fc.2 (linear, no bias).
#pragma once

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>

#include "plugins/lib/nn/activation.h"
#include "plugins/lib/nn/length_mask.h"

namespace fathom::nn {

class SqueezeExcite : public torch::nn::Module {
 public:
  // context_window < 0: mean over the whole item; otherwise training takes a random window of that many frames.
  // Evaluation always takes the whole item.
  SqueezeExcite(int64_t channels, int64_t reduction_ratio, int64_t context_window, Activation activation);
  // x (B, C, T) -> (B, C, T), zero beyond the lengths. Computes in float32 whatever the autocast state or x's half
  // type.
  at::Tensor forward(const at::Tensor& x, LengthMask& lengths);

 private:
  torch::nn::Linear reduce_{nullptr}, expand_{nullptr};
  Activation activation_;
  int64_t context_window_;
};

}  // namespace fathom::nn
