// The invertible layers of VITS (Kim, Kong & Son 2021, arXiv:2106.06103, 2.1.3 and 2.2.2).
#pragma once

#include "plugins/tts/modules/vits_layers.h"

namespace fathom::tts {

struct Flowed {
  at::Tensor x;        // (B, C, T)
  at::Tensor log_det;  // (B), undefined on the way back
};

// m + exp(logs) · x. State: m, logs.
class AffineFlow : public torch::nn::Module {
 public:
  explicit AffineFlow(int64_t channels);
  Flowed forward(const at::Tensor& x, const at::Tensor& mask) const;
  at::Tensor backward(const at::Tensor& x, const at::Tensor& mask) const;

 private:
  at::Tensor shift_, log_scale_;
};

// The second half of the channels goes through splines that depend on the first. State: pre, convs, proj.
class SplineFlow : public torch::nn::Module {
 public:
  SplineFlow(int64_t in_channels, int64_t filter_channels, int64_t kernel, int64_t layers);
  Flowed forward(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& added, bool inverse);

 private:
  int64_t half_, filters_;
  torch::nn::Conv1d pre_{nullptr}, proj_{nullptr};
  std::shared_ptr<DepthSeparableStack> convs_;
};

// The second half of the channels is moved by what the first says. State: pre, enc, post.
class CouplingLayer : public torch::nn::Module {
 public:
  CouplingLayer(int64_t channels, int64_t hidden, int64_t kernel, int64_t dilation_rate, int64_t layers,
                int64_t condition_channels);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& condition, bool inverse);

 private:
  int64_t half_;
  torch::nn::Conv1d pre_{nullptr}, post_{nullptr};
  std::shared_ptr<GatedConvStack> convs_;
};

// Four of them, with the channels turned round after each; none changes a volume. State: flows.0, flows.2, ….
class CouplingBlock : public torch::nn::Module {
 public:
  CouplingBlock(int64_t channels, int64_t hidden, int64_t condition_channels);
  at::Tensor forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& condition, bool inverse);

 private:
  std::vector<std::shared_ptr<CouplingLayer>> layers_;
};

}  // namespace fathom::tts
