#include "plugins/tts/modules/vits_durations.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>
#include <numbers>

namespace fathom::tts {
namespace {

constexpr double kShortest = 1e-5;  // of a duration that a logarithm is taken of
const double kLogTwoPi = std::log(2 * std::numbers::pi);

at::Tensor over_tokens(const at::Tensor& x) { return x.sum({1, 2}); }

}  // namespace

StochasticDurations::StochasticDurations(int64_t channels, int64_t kernel, double dropout, int64_t flows,
                                         int64_t condition_channels) {
  flows_ = make_flows("flows", channels, kernel, flows);
  post_pre_ = register_module("post_pre", plain_conv(1, channels));
  post_proj_ = register_module("post_proj", plain_conv(channels, channels));
  post_convs_ = register_module("post_convs", std::make_shared<DepthSeparableStack>(channels, kernel, 3, dropout));
  post_flows_ = make_flows("post_flows", channels, kernel, 4);
  pre_ = register_module("pre", plain_conv(channels, channels));
  proj_ = register_module("proj", plain_conv(channels, channels));
  convs_ = register_module("convs", std::make_shared<DepthSeparableStack>(channels, kernel, 3, dropout));
  if (condition_channels > 0) cond_ = register_module("cond", plain_conv(condition_channels, channels));
}

StochasticDurations::Flows StochasticDurations::make_flows(const std::string& name, int64_t channels, int64_t kernel,
                                                           int64_t count) {
  Flows made;
  auto list = register_module(name, torch::nn::ModuleList());
  made.affine = std::make_shared<AffineFlow>(2);
  list->push_back(made.affine);
  for (int64_t i = 0; i < count; ++i) {
    made.splines.push_back(std::make_shared<SplineFlow>(2, channels, kernel, 3));
    list->push_back(made.splines.back());
    list->push_back(torch::nn::ModuleList());  // the turning round, which has no state
  }
  return made;
}

Flowed StochasticDurations::run(const Flows& flows, const at::Tensor& x, const at::Tensor& mask,
                                const at::Tensor& added) {
  Flowed now = flows.affine->forward(x, mask);
  for (const auto& spline : flows.splines) {
    const Flowed next = spline->forward(now.x, mask, added, /*inverse=*/false);
    now = {next.x.flip(1), now.log_det + next.log_det};
  }
  return now;
}

at::Tensor StochasticDurations::conditioned(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& condition) {
  at::Tensor h = pre_(x.detach());
  if (condition.defined() && cond_) h = h + cond_(condition.detach());
  return proj_(convs_->forward(h, mask)) * mask;
}

at::Tensor StochasticDurations::cost(const at::Tensor& given, const at::Tensor& mask, const at::Tensor& durations,
                                     const at::Tensor& condition, at::Tensor noise) {
  const at::Tensor x = conditioned(given, mask, condition);
  const at::Tensor h = post_proj_(post_convs_->forward(post_pre_(durations), mask)) * mask;
  if (!noise.defined()) noise = at::randn({durations.size(0), 2, durations.size(2)}, x.options());
  noise = noise * mask;
  // What stands between a whole number of frames and the real duration, and a second number beside it.
  const Flowed q = run(post_flows_, noise, mask, x + h);
  const at::Tensor z_u = q.x.narrow(1, 0, 1), z1 = q.x.narrow(1, 1, 1);
  const at::Tensor z0 = (durations - at::sigmoid(z_u) * mask) * mask;
  const at::Tensor log_det_q = q.log_det + over_tokens((at::log_sigmoid(z_u) + at::log_sigmoid(-z_u)) * mask);
  const at::Tensor log_q = over_tokens(-0.5 * (kLogTwoPi + noise.pow(2)) * mask) - log_det_q;
  const at::Tensor log_z0 = at::log(z0.clamp_min(kShortest)) * mask;
  const Flowed p = run(flows_, at::cat({log_z0, z1}, 1), mask, x);
  const at::Tensor nll = over_tokens(0.5 * (kLogTwoPi + p.x.pow(2)) * mask) - (p.log_det + over_tokens(-log_z0));
  return nll + log_q;
}

at::Tensor StochasticDurations::draw(const at::Tensor& given, const at::Tensor& mask, const at::Tensor& condition,
                                     const at::Tensor& noise) {
  const at::Tensor x = conditioned(given, mask, condition);
  at::Tensor z = noise;
  // The first spline has no use on the way back, but its turning round has.
  for (size_t i = flows_.splines.size(); i-- > 0;) {
    z = z.flip(1);
    if (i > 0) z = flows_.splines[i]->forward(z, mask, x, /*inverse=*/true).x;
  }
  return flows_.affine->backward(z, mask).narrow(1, 0, 1);
}

PlainDurations::PlainDurations(int64_t channels, int64_t filters, int64_t kernel, double dropout,
                               int64_t condition_channels)
    : dropout_(dropout) {
  first_ = register_module("conv_1", plain_conv(channels, filters, kernel));
  first_norm_ = register_module("norm_1", std::make_shared<ChannelNorm>(filters));
  second_ = register_module("conv_2", plain_conv(filters, filters, kernel));
  second_norm_ = register_module("norm_2", std::make_shared<ChannelNorm>(filters));
  proj_ = register_module("proj", plain_conv(filters, 1));
  if (condition_channels > 0) cond_ = register_module("cond", plain_conv(condition_channels, channels));
}

at::Tensor PlainDurations::forward(const at::Tensor& given, const at::Tensor& mask, const at::Tensor& condition) {
  at::Tensor x = given.detach();
  if (condition.defined() && cond_) x = x + cond_(condition.detach());
  x = at::dropout(first_norm_->forward(at::relu(first_(x * mask))), dropout_, is_training());
  x = at::dropout(second_norm_->forward(at::relu(second_(x * mask))), dropout_, is_training());
  return proj_(x * mask) * mask;
}

}  // namespace fathom::tts
