#include "plugins/tts/modules/vits_flows.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>

#include "plugins/tts/modules/rational_spline.h"

namespace fathom::tts {
namespace {

constexpr int64_t kSplineBins = 10;
constexpr double kSplineBound = 5;

}  // namespace

AffineFlow::AffineFlow(int64_t channels)
    : shift_(register_parameter("m", at::zeros({channels, 1}))),
      log_scale_(register_parameter("logs", at::zeros({channels, 1}))) {}

Flowed AffineFlow::forward(const at::Tensor& x, const at::Tensor& mask) const {
  return {(shift_ + at::exp(log_scale_) * x) * mask, (log_scale_ * mask).sum({1, 2})};
}
at::Tensor AffineFlow::backward(const at::Tensor& x, const at::Tensor& mask) const {
  return (x - shift_) * at::exp(-log_scale_) * mask;
}

SplineFlow::SplineFlow(int64_t in_channels, int64_t filter_channels, int64_t kernel, int64_t layers)
    : half_(in_channels / 2), filters_(filter_channels) {
  pre_ = register_module("pre", plain_conv(half_, filters_));
  convs_ = register_module("convs", std::make_shared<DepthSeparableStack>(filters_, kernel, layers, 0.0));
  proj_ = register_module("proj", zero_conv(filters_, half_ * (kSplineBins * 3 - 1)));
}

Flowed SplineFlow::forward(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& added, bool inverse) {
  const at::Tensor first = x.narrow(1, 0, half_), second = x.narrow(1, half_, half_);
  at::Tensor h = proj_(convs_->forward(pre_(first), mask, added)) * mask;
  h = h.reshape({x.size(0), half_, -1, x.size(2)}).permute({0, 1, 3, 2});
  const double scale = std::sqrt(static_cast<double>(filters_));
  const auto [moved, log_steepness] =
      rational_spline(second, h.narrow(-1, 0, kSplineBins) / scale, h.narrow(-1, kSplineBins, kSplineBins) / scale,
                      h.narrow(-1, 2 * kSplineBins, kSplineBins - 1), kSplineBound, inverse);
  return {at::cat({first, moved}, 1) * mask, inverse ? at::Tensor() : (log_steepness * mask).sum({1, 2})};
}

CouplingLayer::CouplingLayer(int64_t channels, int64_t hidden, int64_t kernel, int64_t dilation_rate, int64_t layers,
                             int64_t condition_channels)
    : half_(channels / 2) {
  pre_ = register_module("pre", plain_conv(half_, hidden));
  convs_ = register_module("enc",
                           std::make_shared<GatedConvStack>(hidden, kernel, dilation_rate, layers, condition_channels));
  post_ = register_module("post", zero_conv(hidden, half_));
}

at::Tensor CouplingLayer::forward(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& condition,
                                  bool inverse) {
  const at::Tensor first = x.narrow(1, 0, half_), second = x.narrow(1, half_, half_);
  const at::Tensor mean = post_(convs_->forward(pre_(first) * mask, mask, condition)) * mask;
  return at::cat({first, inverse ? (second - mean) * mask : mean + second * mask}, 1);
}

CouplingBlock::CouplingBlock(int64_t channels, int64_t hidden, int64_t condition_channels) {
  const auto flows = register_module("flows", torch::nn::ModuleList());
  for (int i = 0; i < 4; ++i) {
    layers_.push_back(std::make_shared<CouplingLayer>(channels, hidden, 5, 1, 4, condition_channels));
    flows->push_back(layers_.back());
    flows->push_back(torch::nn::ModuleList());  // the turning round, which has no state
  }
}

at::Tensor CouplingBlock::forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& condition, bool inverse) {
  if (inverse) {
    for (size_t i = layers_.size(); i-- > 0;) x = layers_[i]->forward(x.flip(1), mask, condition, true);
  } else {
    for (const auto& layer : layers_) x = layer->forward(x, mask, condition, false).flip(1);
  }
  return x;
}

}  // namespace fathom::tts
