#include "plugins/asr/modules/squeezeformer_layer.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

#include "plugins/lib/nn/conv_norm.h"
#include "plugins/lib/nn/linear.h"

namespace fathom::asr {
namespace {

torch::nn::LayerNorm norm_of_width(int64_t width) { return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})); }

std::shared_ptr<nn::Conv1dLayer> pointwise_layer(int64_t in, int64_t out) {
  nn::ConvOptions o;
  o.in_channels = in;
  o.out_channels = out;
  o.bias = true;
  return std::make_shared<nn::Conv1dLayer>(o);
}

// A pointwise convolution of (B, T, D).
at::Tensor through_pointwise(const nn::Conv1dLayer& conv, const at::Tensor& x) {
  return nn::linear(x, conv.weight.squeeze(-1), conv.bias);
}

}  // namespace

ScaleBias::ScaleBias(int64_t width, bool adaptive) {
  scale_ = at::ones({width});
  bias_ = at::zeros({width});
  if (adaptive) {
    scale_ = register_parameter("scale", scale_);
    bias_ = register_parameter("bias", bias_);
  } else {
    scale_ = register_buffer("scale", scale_);
    bias_ = register_buffer("bias", bias_);
  }
}

SqueezeformerConvolution::SqueezeformerConvolution(int64_t width, int64_t kernel, const std::string& norm) {
  if (kernel < 1 || kernel % 2 == 0) {
    throw Error(Code::kFailed, "conv_kernel_size must be odd").at("conv_kernel_size").seen(std::to_string(kernel));
  }
  const int64_t channels = 2 * width;
  pointwise_conv1_ = register_module("pointwise_conv1", pointwise_layer(width, channels));
  nn::ConvOptions depthwise;
  depthwise.in_channels = depthwise.out_channels = depthwise.groups = channels;
  depthwise.kernel = kernel;
  depthwise.pad_left = depthwise.pad_right = (kernel - 1) / 2;
  depthwise.bias = true;
  depthwise_conv_ = register_module("depthwise_conv", std::make_shared<nn::Conv1dLayer>(depthwise));
  layer_norm_ = norm == "layer_norm";
  if (norm == "batch_norm") {
    norm_ = std::make_shared<torch::nn::BatchNorm1dImpl>(torch::nn::BatchNorm1dOptions(channels));
  } else if (layer_norm_) {
    norm_ = std::make_shared<torch::nn::LayerNormImpl>(torch::nn::LayerNormOptions({channels}));
  } else {
    throw Error(Code::kFailed, "unknown conv_norm_type")
        .at("conv_norm_type")
        .seen(norm)
        .expected("batch_norm or layer_norm");
  }
  register_module("batch_norm", norm_);
  pointwise_conv2_ = register_module("pointwise_conv2", pointwise_layer(channels, width));
}

at::Tensor SqueezeformerConvolution::forward(const at::Tensor& x, const nn::LengthMaskPtr& lengths) {
  const at::Tensor in = at::silu(through_pointwise(*pointwise_conv1_, x)).transpose(1, 2);
  const at::Tensor out = depthwise_conv_->forward(in, lengths);
  const at::Tensor normed = layer_norm_ ? static_cast<torch::nn::LayerNormImpl&>(*norm_).forward(out.transpose(1, 2))
                                        : nn::apply_norm(*norm_, out).transpose(1, 2);
  return through_pointwise(*pointwise_conv2_, at::silu(normed));
}

SqueezeformerLayer::SqueezeformerLayer(const SqueezeformerLayerOptions& options)
    : AdapterModuleMixin(this),
      AccessMixin(this),
      options_(options),
      norm_self_att_(norm_of_width(options.width)),
      norm_feed_forward1_(norm_of_width(options.width)),
      norm_conv_(norm_of_width(options.width)),
      norm_feed_forward2_(norm_of_width(options.width)) {
  const auto scale = [&] { return std::make_shared<ScaleBias>(options.width, options.adaptive_scale); };
  register_module("norm_self_att", norm_self_att_);
  if (options.self_attention == SelfAttention::kRelative) {
    self_attn_ =
        std::make_shared<nn::RelPositionMultiHeadAttention>(options.attention, options.pos_bias_u, options.pos_bias_v);
  } else {
    self_attn_ = std::make_shared<nn::MultiHeadAttention>(options.attention);
  }
  register_module("self_attn", self_attn_);
  self_attn_scale_ = child("self_attn_scale", scale());
  register_module("norm_feed_forward1", norm_feed_forward1_);
  feed_forward1_ = child("feed_forward1", std::make_shared<ConformerFeedForward>(options));
  feed_forward1_scale_ = child("feed_forward1_scale", scale());
  register_module("norm_conv", norm_conv_);
  conv_ =
      child("conv", std::make_shared<SqueezeformerConvolution>(options.width, options.conv_kernel, options.conv_norm));
  conv_scale_ = child("conv_scale", scale());
  register_module("norm_feed_forward2", norm_feed_forward2_);
  feed_forward2_ = child("feed_forward2", std::make_shared<ConformerFeedForward>(options));
  feed_forward2_scale_ = child("feed_forward2_scale", scale());
}

at::Tensor SqueezeformerLayer::forward(const at::Tensor& x, const ConformerLayer::Input& in) {
  const double dropout = is_training() ? options_.dropout : 0;
  const auto dropped = [&](const at::Tensor& y) { return dropout > 0 ? at::dropout(y, dropout, true) : y; };
  const at::Tensor scaled = self_attn_scale_->forward(x);
  at::Tensor attended;
  if (options_.self_attention == SelfAttention::kRelative)
    attended =
        static_cast<nn::RelPositionMultiHeadAttention&>(*self_attn_).forward(scaled, scaled, in.positions, in.mask);
  else
    attended = self_attn_->forward(scaled, scaled, in.mask);
  at::Tensor out = norm_self_att_(x + dropped(attended));
  out = norm_feed_forward1_(out + dropped(feed_forward1_->forward(feed_forward1_scale_->forward(out))));
  out = norm_conv_(out + dropped(conv_->forward(conv_scale_->forward(out), in.lengths)));
  out = norm_feed_forward2_(out + dropped(feed_forward2_->forward(feed_forward2_scale_->forward(out))));
  if (!get_enabled_adapters().empty()) out = forward_enabled_adapters(out);
  if (is_access_enabled(model_guid()) && access_config(model_guid()).value("save_encoder_tensors", false))
    register_accessible_tensor("encoder", out);
  return out;
}

}  // namespace fathom::asr
