#include "plugins/tts/modules/vits_layers.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

namespace fathom::tts {

at::Tensor mask_of(const at::Tensor& lengths, int64_t width, const at::TensorOptions& options) {
  const at::Tensor places = at::arange(width, lengths.options()).unsqueeze(0);
  return (places < lengths.unsqueeze(1)).to(options).unsqueeze(1);
}

torch::nn::Conv1d plain_conv(int64_t in, int64_t out, int64_t kernel, int64_t dilation, int64_t groups) {
  return torch::nn::Conv1d(torch::nn::Conv1dOptions(in, out, kernel)
                               .padding(same_padding(kernel, dilation))
                               .dilation(dilation)
                               .groups(groups));
}

torch::nn::Conv1d zero_conv(int64_t in, int64_t out) {
  torch::nn::Conv1d conv = plain_conv(in, out);
  const at::NoGradGuard no_grad;
  conv->weight.zero_();
  conv->bias.zero_();
  return conv;
}

ChannelNorm::ChannelNorm(int64_t channels)
    : gamma_(register_parameter("gamma", at::ones({channels}))),
      beta_(register_parameter("beta", at::zeros({channels}))) {}

at::Tensor ChannelNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x.transpose(1, -1), {gamma_.size(0)}, gamma_, beta_, 1e-5).transpose(1, -1);
}

DepthSeparableStack::DepthSeparableStack(int64_t channels, int64_t kernel, int64_t layers, double dropout)
    : dropout_(dropout) {
  auto separate = register_module("convs_sep", torch::nn::ModuleList()),
       pointwise = register_module("convs_1x1", torch::nn::ModuleList()),
       first = register_module("norms_1", torch::nn::ModuleList()),
       second = register_module("norms_2", torch::nn::ModuleList());
  int64_t dilation = 1;
  for (int64_t i = 0; i < layers; ++i, dilation *= kernel) {
    separate_.push_back(plain_conv(channels, channels, kernel, dilation, channels));
    pointwise_.push_back(plain_conv(channels, channels));
    first_.push_back(std::make_shared<ChannelNorm>(channels));
    second_.push_back(std::make_shared<ChannelNorm>(channels));
    separate->push_back(separate_.back());
    pointwise->push_back(pointwise_.back());
    first->push_back(first_.back());
    second->push_back(second_.back());
  }
}

at::Tensor DepthSeparableStack::forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& added) {
  if (added.defined()) x = x + added;
  for (size_t i = 0; i < separate_.size(); ++i) {
    at::Tensor y = at::gelu(first_[i]->forward(separate_[i](x * mask)));
    y = at::gelu(second_[i]->forward(pointwise_[i](y)));
    x = x + at::dropout(y, dropout_, is_training());
  }
  return x * mask;
}

GatedConvStack::GatedConvStack(int64_t channels, int64_t kernel, int64_t dilation_rate, int64_t layers,
                               int64_t condition_channels)
    : channels_(channels) {
  auto in = register_module("in_layers", torch::nn::ModuleList()),
       out = register_module("res_skip_layers", torch::nn::ModuleList());
  const auto normed = [](int64_t from, int64_t to, int64_t size, int64_t dilation) {
    return std::make_shared<NormedConv>(NormedConvOptions{
        .in = from, .out = to, .kernel = {size}, .padding = {same_padding(size, dilation)}, .dilation = {dilation}});
  };
  if (condition_channels > 0)
    condition_ = register_module("cond_layer", normed(condition_channels, 2 * channels * layers, 1, 1));
  int64_t dilation = 1;
  for (int64_t i = 0; i < layers; ++i, dilation *= dilation_rate) {
    in_.push_back(normed(channels, 2 * channels, kernel, dilation));
    out_.push_back(normed(channels, i + 1 < layers ? 2 * channels : channels, 1, 1));
    in->push_back(in_.back());
    out->push_back(out_.back());
  }
}

at::Tensor GatedConvStack::forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& condition) {
  at::Tensor output = at::zeros_like(x), conditions;
  if (condition.defined() && condition_) conditions = condition_->forward(condition);
  for (size_t i = 0; i < in_.size(); ++i) {
    at::Tensor gates = in_[i]->forward(x);
    if (conditions.defined())
      gates = gates + conditions.narrow(1, static_cast<int64_t>(i) * 2 * channels_, 2 * channels_);
    const at::Tensor acts =
        at::tanh(gates.narrow(1, 0, channels_)) * at::sigmoid(gates.narrow(1, channels_, channels_));
    const at::Tensor made = out_[i]->forward(acts);
    if (i + 1 == in_.size()) {
      output = output + made;
      break;
    }
    x = (x + made.narrow(1, 0, channels_)) * mask;
    output = output + made.narrow(1, channels_, channels_);
  }
  return output * mask;
}

}  // namespace fathom::tts
