#include "plugins/asr/modules/conformer_layer.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

#include <charconv>

#include "plugins/lib/nn/conv_norm.h"
#include "plugins/lib/nn/linear.h"

namespace fathom::asr {
namespace {

torch::nn::LayerNorm layer_norm(int64_t width) { return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})); }

std::shared_ptr<nn::Conv1dLayer> convolution(int64_t in, int64_t out, bool bias) {
  nn::ConvOptions o;
  o.in_channels = in;
  o.out_channels = out;
  o.bias = bias;
  return std::make_shared<nn::Conv1dLayer>(o);
}

// A pointwise convolution of (B, T, D), whose layout a linear layer leaves as it is.
at::Tensor pointwise(const nn::Conv1dLayer& conv, const at::Tensor& x) {
  return nn::linear(x, conv.weight.squeeze(-1), conv.bias);
}

// What is left of a batch norm whose statistics were folded into its weights.
class ChannelAffine final : public torch::nn::Module {
 public:
  explicit ChannelAffine(int64_t channels)
      : weight(register_parameter("weight", at::ones({channels}))),
        bias(register_parameter("bias", at::zeros({channels}))) {}
  at::Tensor weight, bias;
};

int64_t groups_of(const std::string& name, int64_t channels) {
  const std::string number = name.substr(std::string("group_norm").size());
  int64_t groups = 0;
  const auto [end, status] = std::from_chars(number.data(), number.data() + number.size(), groups);
  if (status != std::errc() || end != number.data() + number.size() || groups < 1 || channels % groups != 0) {
    throw Error(Code::kFailed, "a group norm needs a number of groups that divides the channels")
        .at("conv_norm_type")
        .seen(name)
        .expected("group_normN, N dividing " + std::to_string(channels));
  }
  return groups;
}

}  // namespace

SelfAttention parse_self_attention(const std::string& name) {
  if (name == "rel_pos") return SelfAttention::kRelative;
  if (name == "rel_pos_local_attn") return SelfAttention::kLocal;
  if (name == "abs_pos") return SelfAttention::kAbsolute;
  throw Error(Code::kFailed, name == "rope" ? "rotary positions, which came after NeMo 3.0, are not supported"
                                            : "unknown self_attention_model")
      .at("self_attention_model")
      .seen(name)
      .expected("rel_pos, rel_pos_local_attn or abs_pos");
}

ConformerFeedForward::ConformerFeedForward(const ConformerLayerOptions& o)
    : dropout_(o.dropout),
      linear1_(torch::nn::LinearOptions(o.width, o.feed_forward).bias(o.bias)),
      linear2_(torch::nn::LinearOptions(o.feed_forward, o.width).bias(o.bias)) {
  register_module("linear1", linear1_);
  register_module("linear2", linear2_);
}

at::Tensor ConformerFeedForward::forward(const at::Tensor& x) {
  at::Tensor hidden = nn::linear(x, linear1_);
  hidden = hidden.requires_grad() ? at::silu(hidden) : at::silu_(hidden);
  if (is_training() && dropout_ > 0) hidden = at::dropout(hidden, dropout_, true);
  return nn::linear(hidden, linear2_);
}

void ConformerFeedForward::prepare_inference(nn::Compute compute) {
  for (auto* layer : {&linear1_, &linear2_}) nn::pack_weight((*layer)->weight, compute);
}

void ConformerConvolution::prepare_inference(nn::Compute compute) {
  for (const auto& layer : {pointwise_conv1_, pointwise_conv2_}) nn::pack_weight(layer->weight, compute);
}

void ConformerLayer::prepare_inference(nn::Compute compute) {
  feed_forward1_->prepare_inference(compute);
  self_attn_->prepare_inference(compute);
  conv_->prepare_inference(compute);
  feed_forward2_->prepare_inference(compute);
}

ConformerConvolution::ConformerConvolution(const ConformerLayerOptions& o) {
  if (o.conv_kernel < 1 || o.conv_kernel % 2 == 0) {
    throw Error(Code::kFailed, "conv_kernel_size must be odd")
        .at("conv_kernel_size")
        .seen(std::to_string(o.conv_kernel));
  }
  pointwise_conv1_ = register_module("pointwise_conv1", convolution(o.width, 2 * o.width, o.bias));
  nn::ConvOptions depthwise;
  depthwise.in_channels = depthwise.out_channels = depthwise.groups = o.width;
  depthwise.kernel = o.conv_kernel;
  depthwise.pad_left = o.conv_left;
  depthwise.pad_right = o.conv_right;
  depthwise.bias = o.bias;
  depthwise_conv_ = register_module("depthwise_conv", std::make_shared<nn::Conv1dLayer>(depthwise));
  const std::string& name = o.conv_norm;
  if (name == "batch_norm") {
    norm_kind_ = Norm::kBatch;
    norm_ = std::make_shared<torch::nn::BatchNorm1dImpl>(torch::nn::BatchNorm1dOptions(o.width));
  } else if (name == "instance_norm") {
    norm_kind_ = Norm::kInstance;
    norm_ = std::make_shared<torch::nn::Module>("InstanceNorm");
  } else if (name == "layer_norm") {
    norm_kind_ = Norm::kLayer;
    norm_ = std::make_shared<torch::nn::LayerNormImpl>(torch::nn::LayerNormOptions({o.width}));
  } else if (name == "fused_batch_norm") {
    norm_kind_ = Norm::kAffine;
    norm_ = std::make_shared<ChannelAffine>(o.width);
  } else if (name.starts_with("group_norm")) {
    norm_kind_ = Norm::kGroup;
    norm_ = std::make_shared<torch::nn::GroupNormImpl>(torch::nn::GroupNormOptions(groups_of(name, o.width), o.width));
  } else {
    throw Error(Code::kFailed, "unknown conv_norm_type")
        .at("conv_norm_type")
        .seen(name)
        .expected("batch_norm, layer_norm, instance_norm, fused_batch_norm or group_normN");
  }
  register_module("batch_norm", norm_);
  pointwise_conv2_ = register_module("pointwise_conv2", convolution(o.width, o.width, o.bias));
}

// (B, D, T) -> (B, T, D)
at::Tensor ConformerConvolution::normalized(const at::Tensor& x) {
  switch (norm_kind_) {
    case Norm::kLayer: return static_cast<torch::nn::LayerNormImpl&>(*norm_).forward(x.transpose(1, 2));
    case Norm::kInstance: return at::instance_norm(x, {}, {}, {}, {}, true, 0.1, 1e-5, false).transpose(1, 2);
    case Norm::kAffine: {
      const auto& affine = static_cast<ChannelAffine&>(*norm_);
      return at::addcmul(affine.bias, x.transpose(1, 2), affine.weight);
    }
    case Norm::kBatch:
    case Norm::kGroup: return nn::apply_norm(*norm_, x).transpose(1, 2);
  }
  throw Error(Code::kInternal, "a norm without a function");
}

at::Tensor ConformerConvolution::forward(const at::Tensor& x, const nn::LengthMaskPtr& lengths, at::Tensor& cache,
                                         int64_t drop) {
  const at::Tensor in = at::glu(pointwise(*pointwise_conv1_, x), -1).transpose(1, 2);
  at::Tensor out;
  if (cache.defined()) {
    // The cache stands where the padding on the left would.
    const nn::ConvOptions& o = depthwise_conv_->options();
    at::Tensor joined = at::cat({cache, lengths->apply(in)}, 2);
    if (o.pad_right > 0) joined = at::constant_pad_nd(joined, {0, o.pad_right});
    out = at::conv1d(joined, depthwise_conv_->weight,
                     depthwise_conv_->bias.defined() ? std::optional(depthwise_conv_->bias) : std::nullopt,
                     at::IntArrayRef{1}, at::IntArrayRef{0}, at::IntArrayRef{1}, o.groups);
    const int64_t end = joined.size(2) - drop;
    cache = joined.slice(2, end - cache.size(2), end);
  } else {
    out = depthwise_conv_->forward(in, lengths);
  }
  at::Tensor activated = normalized(out);
  activated = activated.requires_grad() ? at::silu(activated) : at::silu_(activated);
  return pointwise(*pointwise_conv2_, activated);
}

ConformerLayer::ConformerLayer(const ConformerLayerOptions& options)
    : AdapterModuleMixin(this),
      AccessMixin(this),
      options_(options),
      norm_feed_forward1_(layer_norm(options.width)),
      norm_self_att_(layer_norm(options.width)),
      norm_conv_(layer_norm(options.width)),
      norm_feed_forward2_(layer_norm(options.width)),
      norm_out_(layer_norm(options.width)) {
  register_module("norm_feed_forward1", norm_feed_forward1_);
  feed_forward1_ = register_module("feed_forward1", std::make_shared<ConformerFeedForward>(options));
  register_module("norm_conv", norm_conv_);
  conv_ = register_module("conv", std::make_shared<ConformerConvolution>(options));
  register_module("norm_self_att", norm_self_att_);
  if (options.self_attention == SelfAttention::kRelative) {
    self_attn_ =
        std::make_shared<nn::RelPositionMultiHeadAttention>(options.attention, options.pos_bias_u, options.pos_bias_v);
  } else if (options.self_attention == SelfAttention::kLocal) {
    self_attn_ = std::make_shared<nn::LocalRelPositionMultiHeadAttention>(options.attention, options.window);
  } else {
    self_attn_ = std::make_shared<nn::MultiHeadAttention>(options.attention);
  }
  register_module("self_attn", self_attn_);
  register_module("norm_feed_forward2", norm_feed_forward2_);
  feed_forward2_ = register_module("feed_forward2", std::make_shared<ConformerFeedForward>(options));
  register_module("norm_out", norm_out_);
}

at::Tensor ConformerLayer::attend(const at::Tensor& x, const Input& in, at::Tensor& cache) {
  if (options_.self_attention == SelfAttention::kLocal) {
    const bool covers = in.lengths->covers(x.size(1));
    return static_cast<nn::LocalRelPositionMultiHeadAttention&>(*self_attn_)
        .forward(x, in.positions, covers ? at::Tensor() : in.lengths->valid(x.size(1)).squeeze(1));
  }
  at::Tensor source = x;
  if (cache.defined()) {
    source = at::cat({cache, x}, 1);
    const int64_t end = source.size(1) - in.cache_drop;
    cache = source.slice(1, end - cache.size(1), end);
  }
  if (options_.self_attention == SelfAttention::kAbsolute) return self_attn_->forward(x, source, in.mask);
  return static_cast<nn::RelPositionMultiHeadAttention&>(*self_attn_).forward(x, source, in.positions, in.mask);
}

at::Tensor ConformerLayer::forward(const at::Tensor& x, const Input& in, LayerCache& cache) {
  const double dropout = is_training() ? options_.dropout : 0;
  const auto dropped = [&](const at::Tensor& y) { return dropout > 0 ? at::dropout(y, dropout, true) : y; };
  at::Tensor sum = at::add(x, dropped(feed_forward1_->forward(norm_feed_forward1_(x))), 0.5);
  sum = sum + dropped(attend(norm_self_att_(sum), in, cache.channel));
  sum = sum + dropped(conv_->forward(norm_conv_(sum), in.lengths, cache.time, in.cache_drop));
  sum = at::add(sum, dropped(feed_forward2_->forward(norm_feed_forward2_(sum))), 0.5);
  at::Tensor out = norm_out_(sum);
  if (!get_enabled_adapters().empty()) out = forward_enabled_adapters(out);
  if (is_access_enabled(model_guid()) && access_config(model_guid()).value("save_encoder_tensors", false))
    register_accessible_tensor("encoder", out);
  return out;
}

}  // namespace fathom::asr
