// A layer of the Conformer (Gulati et al. 2020, arXiv:2005.08100): half a feed-forward, attention, convolution, half a
// feed-forward, each on a normalised input and added to it. State names are NeMo's.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <string>

#include "fathom/access.h"
#include "fathom/adapter.h"
#include "plugins/lib/nn/masked_conv.h"
#include "plugins/lib/nn/multi_head_attention.h"

namespace fathom::asr {

enum class SelfAttention { kRelative, kLocal, kAbsolute };
// rel_pos, rel_pos_local_attn or abs_pos; anything else is refused by name.
SelfAttention parse_self_attention(const std::string& name);

struct ConformerLayerOptions {
  int64_t width = 0, feed_forward = 0;
  SelfAttention self_attention = SelfAttention::kRelative;
  nn::AttentionOptions attention;
  nn::WindowOptions window;           // for kLocal
  at::Tensor pos_bias_u, pos_bias_v;  // shared by all layers, or undefined
  int64_t conv_kernel = 31, conv_left = 15, conv_right = 15;
  std::string conv_norm = "batch_norm";
  double dropout = 0.1;
  bool bias = true;
};

// State: linear1.…, linear2.….
class ConformerFeedForward final : public torch::nn::Module {
 public:
  explicit ConformerFeedForward(const ConformerLayerOptions& options);
  at::Tensor forward(const at::Tensor& x);
  void prepare_inference(nn::Compute compute);

 private:
  double dropout_;
  torch::nn::Linear linear1_, linear2_;
};

// What a stream keeps of earlier frames, for one layer. Undefined tensors: no stream.
struct LayerCache {
  at::Tensor channel;  // (B, C, D) inputs of the attention
  at::Tensor time;     // (B, D, conv_left) inputs of the depthwise convolution
};

// State: pointwise_conv1.…, depthwise_conv.…, batch_norm.… (of whatever norm), pointwise_conv2.….
class ConformerConvolution final : public torch::nn::Module {
 public:
  explicit ConformerConvolution(const ConformerLayerOptions& options);
  // x (B, T, D); what lies beyond the lengths counts as 0. cache is replaced by what the next chunk needs; the last
  // `drop` frames will come again.
  at::Tensor forward(const at::Tensor& x, const nn::LengthMaskPtr& lengths, at::Tensor& cache, int64_t drop);
  void prepare_inference(nn::Compute compute);

 private:
  enum class Norm { kBatch, kInstance, kLayer, kAffine, kGroup };
  at::Tensor normalized(const at::Tensor& x);

  Norm norm_kind_;
  std::shared_ptr<nn::Conv1dLayer> pointwise_conv1_, depthwise_conv_, pointwise_conv2_;
  std::shared_ptr<torch::nn::Module> norm_;
};

// Its output passes its enabled adapters, and is handed out as "encoder" while the process's access settings have
// `save_encoder_tensors`.
class ConformerLayer final : public torch::nn::Module, public AdapterModuleMixin, public AccessMixin {
 public:
  explicit ConformerLayer(const ConformerLayerOptions& options);

  struct Input {
    at::Tensor positions;       // as the attention wants them; undefined for kAbsolute
    nn::AttentionMask mask;     // not for kLocal
    nn::LengthMaskPtr lengths;  // of x
    int64_t cache_drop = 0;     // frames at the end of x that the next chunk brings again
  };
  // x (B, T, D) -> (B, T, D). cache is replaced, where there is one.
  at::Tensor forward(const at::Tensor& x, const Input& in, LayerCache& cache);
  // Packs the weights of all large products. No training after that.
  void prepare_inference(nn::Compute compute);

 private:
  at::Tensor attend(const at::Tensor& x, const Input& in, at::Tensor& cache);

  ConformerLayerOptions options_;
  torch::nn::LayerNorm norm_feed_forward1_, norm_self_att_, norm_conv_, norm_feed_forward2_, norm_out_;
  std::shared_ptr<ConformerFeedForward> feed_forward1_, feed_forward2_;
  std::shared_ptr<ConformerConvolution> conv_;
  std::shared_ptr<nn::MultiHeadAttention> self_attn_;
};

}  // namespace fathom::asr
