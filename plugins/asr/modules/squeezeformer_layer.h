// A layer of the Squeezeformer (Kim et al. 2022, arXiv:2206.00888): attention, feed-forward, convolution, feed-forward,
// each on its input scaled and shifted, added to it and normalised after. State names are NeMo's.
#pragma once

#include "plugins/asr/modules/conformer_layer.h"

namespace fathom::asr {

// x * scale + bias, per channel. With `adaptive` parameters, otherwise buffers that stay as they are.
class ScaleBias final : public torch::nn::Module {
 public:
  ScaleBias(int64_t width, bool adaptive);
  at::Tensor forward(const at::Tensor& x) const { return at::addcmul(bias_, x, scale_); }

 private:
  at::Tensor scale_, bias_;
};

// As ConformerConvolution, with Swish on twice the channels in place of the gate. State: pointwise_conv1.…,
// depthwise_conv.…, batch_norm.…, pointwise_conv2.….
class SqueezeformerConvolution final : public torch::nn::Module {
 public:
  SqueezeformerConvolution(int64_t width, int64_t kernel, const std::string& norm);
  // x (B, T, D); what lies beyond the lengths counts as 0.
  at::Tensor forward(const at::Tensor& x, const nn::LengthMaskPtr& lengths);

 private:
  std::shared_ptr<nn::Conv1dLayer> pointwise_conv1_, depthwise_conv_, pointwise_conv2_;
  std::shared_ptr<torch::nn::Module> norm_;
  bool layer_norm_;
};

struct SqueezeformerLayerOptions : ConformerLayerOptions {
  bool adaptive_scale = true;
};

class SqueezeformerLayer final : public torch::nn::Module, public AdapterModuleMixin, public AccessMixin {
 public:
  explicit SqueezeformerLayer(const SqueezeformerLayerOptions& options);
  // x (B, T, D) -> (B, T, D).
  at::Tensor forward(const at::Tensor& x, const ConformerLayer::Input& in);

 private:
  template <typename Module>
  std::shared_ptr<Module> child(const char* name, std::shared_ptr<Module> module) {
    return register_module(name, std::move(module));
  }
  SqueezeformerLayerOptions options_;
  torch::nn::LayerNorm norm_self_att_, norm_feed_forward1_, norm_conv_, norm_feed_forward2_;
  std::shared_ptr<ScaleBias> self_attn_scale_, feed_forward1_scale_, conv_scale_, feed_forward2_scale_;
  std::shared_ptr<nn::MultiHeadAttention> self_attn_;
  std::shared_ptr<ConformerFeedForward> feed_forward1_, feed_forward2_;
  std::shared_ptr<SqueezeformerConvolution> conv_;
};

}  // namespace fathom::asr
