// The convolution layers of Jasper-like encoders.
#pragma once

#include <torch/nn/module.h>

#include "plugins/lib/nn/length_mask.h"

namespace fathom::nn {

struct ConvOptions {
  int64_t in_channels = 0, out_channels = 0, kernel = 1, stride = 1, dilation = 1, groups = 1;
  int64_t pad_left = 0, pad_right = 0;
  int64_t heads = -1;  // > 0: a depthwise convolution whose channels share `heads` filters
  bool bias = false;
};

// torch.nn.Conv1d with one padding for each side. Parameters: weight (out, in / groups, kernel), bias (out) if any,
// initialised as torch does. Depthwise shapes run on depthwise_conv.h.
class Conv1dLayer : public torch::nn::Module {
 public:
  explicit Conv1dLayer(const ConvOptions& options);
  // x (B, C, T). mask: samples beyond an item's length count as 0. out_mask: also clear the output beyond these
  // lengths.
  at::Tensor forward(const at::Tensor& x, const LengthMaskPtr& mask = nullptr, const LengthMaskPtr& out_mask = nullptr);

  const ConvOptions& options() const { return options_; }
  bool depthwise() const;
  at::Tensor weight, bias;

 private:
  ConvOptions options_;
};

// A convolution that sees zeros beyond each item's length and says what the lengths become. Child: conv.
class MaskedConv1d : public torch::nn::Module {
 public:
  explicit MaskedConv1d(const ConvOptions& options);

  struct Masked {
    at::Tensor x;
    LengthMaskPtr lengths;
    bool is_masked = false;  // x is known to be 0 beyond the lengths
  };
  // mask_output: the next layer masks its input with the new lengths anyway; do it here where it is free.
  Masked forward(const Masked& in, bool mask_output = false);
  Conv1dLayer& conv() { return *conv_; }
  LengthMaskPtr new_lengths(const LengthMaskPtr& lengths) const;

 private:
  std::shared_ptr<Conv1dLayer> conv_;
};

// Puts NeMo's `init_mode` on every convolution and linear layer below `root` and resets batch norms: xavier_uniform,
// xavier_normal, kaiming_uniform, kaiming_normal, tds_uniform, tds_normal, or empty: leave torch's own initialisation.
// Draws in NeMo's order (children first; a masked convolution's weight twice) from torch's default generator.
void init_weights(torch::nn::Module& root, const std::string& mode);

}  // namespace fathom::nn
