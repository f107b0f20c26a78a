// The convolutions that VITS is made of (Kim, Kong & Son 2021, arXiv:2106.06103; github.com/jaywalnut310/vits).
// Everything is (B, C, T); masks are (B, 1, T) in the type of the data, 1 where an item is.
#pragma once

#include <torch/nn/modules/conv.h>

#include "plugins/tts/modules/normed_conv.h"

namespace fathom::tts {

// lengths (B) -> (B, 1, width).
at::Tensor mask_of(const at::Tensor& lengths, int64_t width, const at::TensorOptions& options);

torch::nn::Conv1d plain_conv(int64_t in, int64_t out, int64_t kernel = 1, int64_t dilation = 1, int64_t groups = 1);
// A convolution that begins as zero, so that what it is part of begins as the identity.
torch::nn::Conv1d zero_conv(int64_t in, int64_t out);

// Over the channels of each place. State: gamma, beta.
class ChannelNorm : public torch::nn::Module {
 public:
  explicit ChannelNorm(int64_t channels);
  at::Tensor forward(const at::Tensor& x) const;

 private:
  at::Tensor gamma_, beta_;
};

// Dilated, depth-separable convolutions, each added to what goes in. State: convs_sep.N, convs_1x1.N, norms_1.N,
// norms_2.N.
class DepthSeparableStack : public torch::nn::Module {
 public:
  DepthSeparableStack(int64_t channels, int64_t kernel, int64_t layers, double dropout);
  at::Tensor forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& added = {});

 private:
  std::vector<torch::nn::Conv1d> separate_, pointwise_;
  std::vector<std::shared_ptr<ChannelNorm>> first_, second_;
  double dropout_;
};

// WaveNet's gated convolutions (van den Oord et al. 2016, arXiv:1609.03499), not causal. `condition` (B, G, 1) is a
// speaker's embedding, undefined for one voice. State: cond_layer, in_layers.N, res_skip_layers.N.
class GatedConvStack : public torch::nn::Module {
 public:
  GatedConvStack(int64_t channels, int64_t kernel, int64_t dilation_rate, int64_t layers, int64_t condition_channels);
  at::Tensor forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& condition);

 private:
  int64_t channels_;
  std::shared_ptr<NormedConv> condition_;
  std::vector<std::shared_ptr<NormedConv>> in_, out_;
};

}  // namespace fathom::tts
