#include "plugins/lib/nn/transformer.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>

#include "fathom/error.h"
#include "plugins/lib/nn/attention_mask.h"
#include "plugins/lib/nn/linear.h"

namespace fathom::nn {
namespace {

torch::nn::LayerNorm layer_norm(int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-5));
}

at::Tensor dropped(const at::Tensor& x, double probability, bool training) {
  return training && probability > 0 ? at::dropout(x, probability, true) : x;
}

// 0, or kHiddenScore where the key does not count.
at::Tensor scores_of(const at::Tensor& visible, const at::Tensor& like) {
  return at::zeros(visible.sizes(), like.options()).masked_fill(visible.logical_not(), kHiddenScore);
}

class FixedPositions : public torch::nn::Module {
 public:
  FixedPositions(int64_t width, int64_t longest) {
    at::Tensor table = at::zeros({longest, width});
    const at::Tensor place = at::arange(longest, at::kFloat).unsqueeze(1);
    const at::Tensor rate =
        at::exp(at::arange(0, width, 2, at::kFloat) * (-std::log(10000.0) / static_cast<double>(width)));
    table.slice(1, 0, width, 2).copy_(at::sin(place * rate));
    table.slice(1, 1, width, 2).copy_(at::cos(place * rate).slice(1, 0, width / 2));
    register_buffer("pos_enc", table / std::sqrt(static_cast<double>(width)));
  }
};

}  // namespace

void init_transformer(torch::nn::Module& module, double deviation, bool glorot) {
  const at::NoGradGuard no_grad;
  module.apply([&](torch::nn::Module& part) {
    if (auto* linear = part.as<torch::nn::LinearImpl>()) {
      if (glorot)
        torch::nn::init::xavier_uniform_(linear->weight);
      else
        linear->weight.normal_(0, deviation);
      if (linear->bias.defined()) linear->bias.zero_();
    } else if (auto* embedding = part.as<torch::nn::EmbeddingImpl>()) {
      embedding->weight.normal_(0, deviation);
    } else if (auto* norm = part.as<torch::nn::LayerNormImpl>()) {
      norm->weight.fill_(1);
      norm->bias.zero_();
    }
  });
}

// --- attention and feed-forward --------------------------------------------------------------------------------------

TransformerAttention::TransformerAttention(const TransformerOptions& o)
    : heads_(o.heads),
      width_(o.width),
      attention_dropout_(o.attention_dropout),
      layer_dropout_(o.layer_dropout),
      query_net_(o.width, o.width),
      key_net_(o.width, o.width),
      value_net_(o.width, o.width),
      out_projection_(o.width, o.width) {
  register_module("query_net", query_net_);
  register_module("key_net", key_net_);
  register_module("value_net", value_net_);
  register_module("out_projection", out_projection_);
}

at::Tensor TransformerAttention::heads_of(const at::Tensor& x) const {
  return x.view({x.size(0), x.size(1), heads_, width_ / heads_}).transpose(1, 2);
}

KeysValues TransformerAttention::project(const at::Tensor& source) {
  return {heads_of(linear(source, key_net_)), heads_of(linear(source, value_net_))};
}

at::Tensor TransformerAttention::forward(const at::Tensor& query, const KeysValues& source, const at::Tensor& hidden,
                                         at::Tensor* weights) {
  const double scale = 1 / std::sqrt(static_cast<double>(width_ / heads_));
  at::Tensor scores = at::matmul(heads_of(linear(query, query_net_) * scale), source.keys.transpose(-1, -2));
  if (hidden.defined()) scores = scores + hidden;
  const at::Tensor shares = dropped(at::softmax(scores, -1), attention_dropout_, is_training());
  if (weights != nullptr) *weights = shares;
  const at::Tensor out = at::matmul(shares, source.values).transpose(1, 2).reshape(query.sizes());
  return dropped(linear(out, out_projection_), layer_dropout_, is_training());
}

TransformerFeedForward::TransformerFeedForward(const TransformerOptions& o)
    : gelu_(o.activation == "gelu"),
      dropout_(o.feed_forward_dropout),
      dense_in_(o.width, o.inner_width),
      dense_out_(o.inner_width, o.width) {
  register_module("dense_in", dense_in_);
  register_module("dense_out", dense_out_);
}

at::Tensor TransformerFeedForward::forward(const at::Tensor& x) {
  const at::Tensor inner = linear(x, dense_in_);
  return dropped(linear(gelu_ ? at::gelu(inner) : at::relu(inner), dense_out_), dropout_, is_training());
}

// --- encoder ---------------------------------------------------------------------------------------------------------

TransformerEncoderLayer::TransformerEncoderLayer(const TransformerOptions& o)
    : pre_norm_(o.pre_norm),
      norm_1_(layer_norm(o.width)),
      norm_2_(layer_norm(o.width)),
      attention_(std::make_shared<TransformerAttention>(o)),
      feed_forward_(std::make_shared<TransformerFeedForward>(o)) {
  register_module("layer_norm_1", norm_1_);
  register_module("first_sub_layer", attention_);
  register_module("layer_norm_2", norm_2_);
  register_module("second_sub_layer", feed_forward_);
}

at::Tensor TransformerEncoderLayer::forward(const at::Tensor& x, const at::Tensor& hidden) {
  const auto attend = [&](const at::Tensor& y) { return attention_->forward(y, attention_->project(y), hidden); };
  if (pre_norm_) {
    const at::Tensor attended = x + attend(norm_1_(x));
    return attended + feed_forward_->forward(norm_2_(attended));
  }
  const at::Tensor attended = norm_1_(x + attend(x));
  return norm_2_(attended + feed_forward_->forward(attended));
}

TransformerEncoderStack::TransformerEncoderStack(const TransformerOptions& o, torch::nn::Module& owner)
    : mask_future_(o.mask_future) {
  if (o.pre_norm && o.final_norm) final_norm_ = owner.register_module("final_layer_norm", layer_norm(o.width));
  torch::nn::ModuleList layers;
  for (int64_t i = 0; i < o.layers; ++i) {
    layers_.push_back(std::make_shared<TransformerEncoderLayer>(o));
    layers->push_back(layers_.back());
  }
  owner.register_module("layers", layers);
}

at::Tensor TransformerEncoderStack::forward(at::Tensor x, const at::Tensor& valid) {
  at::Tensor visible = valid.ne(0).unsqueeze(1).unsqueeze(1);
  if (mask_future_) visible = visible.logical_and(at::ones({x.size(1), x.size(1)}, visible.options()).tril());
  const at::Tensor hidden = scores_of(visible, x);
  for (const auto& layer : layers_) x = layer->forward(x, hidden);
  return final_norm_ ? final_norm_(x) : x;
}

// --- decoder ---------------------------------------------------------------------------------------------------------

TransformerDecoderLayer::TransformerDecoderLayer(const TransformerOptions& o)
    : pre_norm_(o.pre_norm),
      norm_1_(layer_norm(o.width)),
      norm_2_(layer_norm(o.width)),
      norm_3_(layer_norm(o.width)),
      self_attention_(std::make_shared<TransformerAttention>(o)),
      cross_attention_(std::make_shared<TransformerAttention>(o)),
      feed_forward_(std::make_shared<TransformerFeedForward>(o)) {
  register_module("layer_norm_1", norm_1_);
  register_module("first_sub_layer", self_attention_);
  register_module("layer_norm_2", norm_2_);
  register_module("second_sub_layer", cross_attention_);
  register_module("layer_norm_3", norm_3_);
  register_module("third_sub_layer", feed_forward_);
}

at::Tensor TransformerDecoderLayer::forward(const at::Tensor& x, const at::Tensor& encoded, Memory& memory,
                                            const at::Tensor& hidden, const at::Tensor& cross_hidden,
                                            at::Tensor* cross_weights) {
  const auto attend_self = [&](const at::Tensor& y) {
    KeysValues now = self_attention_->project(y);
    if (memory.self.keys.defined()) {
      now.keys = at::cat({memory.self.keys, now.keys}, 2);
      now.values = at::cat({memory.self.values, now.values}, 2);
    }
    memory.self = now;
    return self_attention_->forward(y, now, hidden);
  };
  const auto attend_cross = [&](const at::Tensor& y) {
    if (!memory.cross.keys.defined()) memory.cross = cross_attention_->project(encoded);
    return cross_attention_->forward(y, memory.cross, cross_hidden, cross_weights);
  };
  if (pre_norm_) {
    const at::Tensor told = x + attend_self(norm_1_(x));
    const at::Tensor heard = told + attend_cross(norm_2_(told));
    return heard + feed_forward_->forward(norm_3_(heard));
  }
  const at::Tensor told = norm_1_(x + attend_self(x));
  const at::Tensor heard = norm_2_(told + attend_cross(told));
  return norm_3_(heard + feed_forward_->forward(heard));
}

TransformerDecoderStack::TransformerDecoderStack(const TransformerOptions& o) {
  if (o.pre_norm && o.final_norm) final_norm_ = register_module("final_layer_norm", layer_norm(o.width));
  torch::nn::ModuleList layers;
  for (int64_t i = 0; i < o.layers; ++i) {
    layers_.push_back(std::make_shared<TransformerDecoderLayer>(o));
    layers->push_back(layers_.back());
  }
  register_module("layers", layers);
}

at::Tensor TransformerDecoderStack::forward(at::Tensor x, const at::Tensor& valid, const at::Tensor& encoded,
                                            const at::Tensor& encoded_valid,
                                            std::vector<TransformerDecoderLayer::Memory>& memory, Inside* inside) {
  const int64_t count = x.size(1), before = memory.front().self.keys.defined() ? memory.front().self.keys.size(2) : 0;
  // A single token sees all before it, itself, and nothing else is there.
  at::Tensor hidden;
  if (count > 1) {
    at::Tensor visible = at::ones({count, before + count}, x.options().dtype(at::kBool)).tril(before);
    if (valid.defined() && before == 0) visible = visible.logical_and(valid.ne(0).unsqueeze(1).unsqueeze(1));
    hidden = scores_of(visible, x);
  }
  const at::Tensor cross_hidden = scores_of(encoded_valid.ne(0).unsqueeze(1).unsqueeze(1), x);
  if (inside != nullptr) inside->states.push_back(x);
  for (size_t i = 0; i < layers_.size(); ++i) {
    at::Tensor* weights = inside != nullptr ? &inside->cross_weights.emplace_back() : nullptr;
    x = layers_[i]->forward(x, encoded, memory[i], hidden, cross_hidden, weights);
    if (inside != nullptr) inside->states.push_back(x);
  }
  if (!final_norm_) return x;
  x = final_norm_(x);
  if (inside != nullptr) inside->states.push_back(x);
  return x;
}

// --- embedding -------------------------------------------------------------------------------------------------------

TransformerEmbedding::TransformerEmbedding(const TransformerEmbeddingOptions& o)
    : options_(o),
      tokens_(torch::nn::EmbeddingOptions(o.vocabulary, o.width).padding_idx(0)),
      norm_(layer_norm(o.width)) {
  register_module("token_embedding", tokens_);
  if (o.learn_positions)
    learned_ = register_module("position_embedding", torch::nn::Embedding(o.longest, o.width));
  else
    fixed_ = register_module("position_embedding", std::make_shared<FixedPositions>(o.width, o.longest));
  if (o.token_types > 0) register_module("token_type_embedding", torch::nn::Embedding(o.token_types, o.width));
  register_module("layer_norm", norm_);
}

at::Tensor TransformerEmbedding::forward(const at::Tensor& ids, int64_t first) {
  const int64_t count = ids.size(1);
  if (first + count > options_.longest) {
    throw Error(Code::kFailed, "a sequence of tokens is longer than the decoder's positions reach")
        .at("max_sequence_length")
        .seen(std::to_string(first + count) + " tokens")
        .expected("at most " + std::to_string(options_.longest));
  }
  at::Tensor table;
  if (learned_) {
    table = learned_->weight;
  } else {
    const auto buffers = fixed_->named_buffers();
    table = buffers["pos_enc"];
  }
  const at::Tensor x = norm_(tokens_(ids) + table.slice(0, first, first + count));
  return dropped(x, options_.dropout, is_training());
}

}  // namespace fathom::nn
