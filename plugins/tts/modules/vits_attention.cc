#include "plugins/tts/modules/vits_attention.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>

namespace fathom::tts {
namespace {

constexpr int64_t kWindow = 4;
constexpr double kUnheard = -1e4;  // NeMo's; half types hold it

}  // namespace

RelativeAttention::RelativeAttention(int64_t channels, int64_t heads, int64_t window, double dropout)
    : heads_(heads), window_(window), dropout_(dropout) {
  const int64_t each = channels / heads;
  const double deviation = 1 / std::sqrt(static_cast<double>(each));
  keys_ = register_parameter("emb_rel_k", at::randn({1, 2 * window + 1, each}) * deviation);
  values_ = register_parameter("emb_rel_v", at::randn({1, 2 * window + 1, each}) * deviation);
  q_ = register_module("conv_q", plain_conv(channels, channels));
  k_ = register_module("conv_k", plain_conv(channels, channels));
  v_ = register_module("conv_v", plain_conv(channels, channels));
  out_ = register_module("conv_o", plain_conv(channels, channels));
  for (const auto& conv : {q_, k_, v_}) torch::nn::init::xavier_uniform_(conv->weight);
}

at::Tensor RelativeAttention::forward(const at::Tensor& x, const at::Tensor& hidden) {
  const int64_t items = x.size(0), channels = x.size(1), width = x.size(2), each = channels / heads_;
  const auto split = [&](torch::nn::Conv1d& conv) {
    return conv(x).view({items, heads_, each, width}).transpose(2, 3);
  };
  const at::Tensor query = split(q_) / std::sqrt(static_cast<double>(each)), key = split(k_), value = split(v_);
  const auto whole = x.options().dtype(at::kLong).requires_grad(false);
  const at::Tensor places = at::arange(width, whole), steps = at::arange(-window_, window_ + 1, whole);
  // Query by key: how far the key is, where that is within the window.
  const at::Tensor distance = places.unsqueeze(0) - places.unsqueeze(1);
  const at::Tensor near = (distance.abs() <= window_).to(x.scalar_type());
  const at::Tensor row = (distance.clamp(-window_, window_) + window_).expand({items, heads_, width, width});
  const at::Tensor of_steps = at::matmul(query, keys_.unsqueeze(0).transpose(2, 3));
  const at::Tensor scores = at::matmul(query, key.transpose(2, 3)) + of_steps.gather(-1, row) * near;
  const at::Tensor weights =
      at::dropout(at::softmax(scores.masked_fill(hidden, kUnheard), -1), dropout_, is_training());
  // Query by step: which key it leads to, where there is one.
  const at::Tensor target = places.unsqueeze(1) + steps.unsqueeze(0);
  const at::Tensor there = at::logical_and(target >= 0, target < width).to(x.scalar_type());
  const at::Tensor column = target.clamp(0, width - 1).expand({items, heads_, width, 2 * window_ + 1});
  const at::Tensor heard =
      at::matmul(weights, value) + at::matmul(weights.gather(-1, column) * there, values_.unsqueeze(0));
  return out_(heard.transpose(2, 3).reshape({items, channels, width}));
}

VitsTextEncoder::VitsTextEncoder(const VitsTextOptions& o) : options_(o) {
  embedding_ = register_module(
      "emb",
      torch::nn::Embedding(torch::nn::EmbeddingOptions(o.n_vocab, o.hidden_channels).padding_idx(o.padding_idx)));
  torch::nn::init::normal_(embedding_->weight, 0, 1 / std::sqrt(static_cast<double>(o.hidden_channels)));
  const auto encoder = register_module("encoder", std::make_shared<torch::nn::Module>());
  auto attention = encoder->register_module("attn_layers", torch::nn::ModuleList()),
       first_norms = encoder->register_module("norm_layers_1", torch::nn::ModuleList()),
       forwards = encoder->register_module("ffn_layers", torch::nn::ModuleList()),
       second_norms = encoder->register_module("norm_layers_2", torch::nn::ModuleList());
  for (int64_t i = 0; i < o.n_layers; ++i) {
    Layer layer;
    layer.attention = std::make_shared<RelativeAttention>(o.hidden_channels, o.n_heads, kWindow, o.p_dropout);
    layer.attention_norm = std::make_shared<ChannelNorm>(o.hidden_channels);
    layer.conv_norm = std::make_shared<ChannelNorm>(o.hidden_channels);
    const auto forward = std::make_shared<torch::nn::Module>();
    const auto conv = [&](int64_t in, int64_t out) {
      return torch::nn::Conv1d(torch::nn::Conv1dOptions(in, out, o.kernel_size));
    };
    layer.first = forward->register_module("conv_1", conv(o.hidden_channels, o.filter_channels));
    layer.second = forward->register_module("conv_2", conv(o.filter_channels, o.hidden_channels));
    attention->push_back(layer.attention);
    first_norms->push_back(layer.attention_norm);
    forwards->push_back(forward);
    second_norms->push_back(layer.conv_norm);
    layers_.push_back(std::move(layer));
  }
  proj_ = register_module("proj", plain_conv(o.hidden_channels, 2 * o.out_channels));
}

at::Tensor VitsTextEncoder::feed_forward(Layer& layer, const at::Tensor& x, const at::Tensor& mask) const {
  const int64_t left = (options_.kernel_size - 1) / 2, right = options_.kernel_size / 2;
  const auto padded = [&](const at::Tensor& y) { return at::constant_pad_nd(y * mask, {left, right}); };
  const at::Tensor y = at::dropout(at::relu(layer.first(padded(x))), options_.p_dropout, is_training());
  return layer.second(padded(y)) * mask;
}

VitsTextEncoder::Output VitsTextEncoder::forward(const at::Tensor& tokens, const at::Tensor& lengths) {
  at::Tensor x = embedding_(tokens) * std::sqrt(static_cast<double>(options_.hidden_channels));
  x = x.transpose(1, 2);
  const at::Tensor mask = mask_of(lengths, tokens.size(1), x.options());
  const at::Tensor hidden = (mask.unsqueeze(2) * mask.unsqueeze(-1)) == 0;
  x = x * mask;
  for (Layer& layer : layers_) {
    const at::Tensor heard = layer.attention->forward(x, hidden);
    x = layer.attention_norm->forward(x + at::dropout(heard, options_.p_dropout, is_training()));
    const at::Tensor made = feed_forward(layer, x, mask);
    x = layer.conv_norm->forward(x + at::dropout(made, options_.p_dropout, is_training()));
  }
  x = x * mask;
  const auto stats = (proj_(x) * mask).chunk(2, 1);
  return {x, stats[0], stats[1], mask};
}

}  // namespace fathom::tts
