// How long VITS holds each token: drawn from a distribution (Kim, Kong & Son 2021, arXiv:2106.06103, 2.2.2), or one
// number. Gradients end here: what goes in is detached.
#pragma once

#include <ATen/core/Generator.h>

#include <optional>

#include "plugins/tts/modules/vits_flows.h"

namespace fathom::tts {

// x (B, C, T), mask (B, 1, T), condition (B, G, 1) or undefined.
class StochasticDurations : public torch::nn::Module {
 public:
  // State: flows.0.{m, logs}, flows.N.{pre, convs, proj}, post_pre, post_proj, post_convs, post_flows.N, pre, proj,
  // convs, cond.
  StochasticDurations(int64_t channels, int64_t kernel, double dropout, int64_t flows, int64_t condition_channels);
  // A bound of -log p(durations), (B); `noise` (B, 2, T) is drawn from a normal distribution where it is undefined.
  at::Tensor cost(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& durations, const at::Tensor& condition,
                  at::Tensor noise = {});
  // Logarithms of durations, (B, 1, T), of noise (B, 2, T).
  at::Tensor draw(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& condition, const at::Tensor& noise);

 private:
  struct Flows {
    std::shared_ptr<AffineFlow> affine;
    std::vector<std::shared_ptr<SplineFlow>> splines;
  };
  Flows make_flows(const std::string& name, int64_t channels, int64_t kernel, int64_t count);
  static Flowed run(const Flows& flows, const at::Tensor& x, const at::Tensor& mask, const at::Tensor& added);
  at::Tensor conditioned(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& condition);

  Flows flows_, post_flows_;
  torch::nn::Conv1d pre_{nullptr}, proj_{nullptr}, post_pre_{nullptr}, post_proj_{nullptr}, cond_{nullptr};
  std::shared_ptr<DepthSeparableStack> convs_, post_convs_;
};

// State: conv_1, norm_1, conv_2, norm_2, proj, cond.
class PlainDurations : public torch::nn::Module {
 public:
  PlainDurations(int64_t channels, int64_t filters, int64_t kernel, double dropout, int64_t condition_channels);
  // Logarithms of durations, (B, 1, T).
  at::Tensor forward(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& condition);

 private:
  torch::nn::Conv1d first_{nullptr}, second_{nullptr}, proj_{nullptr}, cond_{nullptr};
  std::shared_ptr<ChannelNorm> first_norm_, second_norm_;
  double dropout_;
};

}  // namespace fathom::tts
