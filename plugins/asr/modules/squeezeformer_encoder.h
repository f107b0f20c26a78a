// SqueezeformerEncoder (Kim et al. 2022, arXiv:2206.00888), which NeMo had until 1.23.
#pragma once

#include "fathom/module.h"
#include "plugins/asr/modules/conformer_context.h"
#include "plugins/asr/modules/squeezeformer_layer.h"
#include "plugins/lib/nn/positional_encoding.h"

namespace fathom::asr {

// Half as many frames: a depthwise convolution of stride 2, and a pointwise one. State: dw_conv.…, pw_conv.….
class TimeReduction final : public torch::nn::Module {
 public:
  explicit TimeReduction(int64_t width);
  // (B, T, D) -> (B, ceil(T / 2), D); what lies beyond the lengths counts as 0.
  at::Tensor forward(const at::Tensor& x, const nn::LengthMaskPtr& lengths);

 private:
  std::shared_ptr<nn::Conv1dLayer> dw_conv_, pw_conv_;
};

// audio_signal (B, feat_in, T), length (B) -> outputs (B, D, T'), encoded_lengths (B). From layer time_reduce_idx to
// time_recovery_idx (the last one) there are half as many frames.
//
// State: pre_encode.…, pre_ln.…, layers.N.…, and where the options ask for them time_reduce_layer.…,
// time_recovery_layer.… and out_proj.…. Adapters go into every layer, with d_model as their in_features.
class SqueezeformerEncoder final : public NeuralModule, public AdapterHost, public AccessMixin, public HasProperties {
 public:
  static constexpr const char* kState =
      "pre_encode.*, pre_ln.*; of layer N layers.N.{self_attn, norm_self_att, self_attn_scale, feed_forward1, "
      "norm_feed_forward1, feed_forward1_scale, conv, norm_conv, conv_scale, feed_forward2, norm_feed_forward2, "
      "feed_forward2_scale}; time_reduce_layer.{dw_conv, pw_conv}, time_recovery_layer, out_proj";
  struct Options {
    int64_t feat_in = 0, n_layers = 0, d_model = 0, feat_out = -1;
    std::optional<std::string> subsampling = "dw_striding";
    int64_t subsampling_factor = 4, subsampling_conv_channels = -1;
    bool subsampling_conv_masking = true;
    int64_t ff_expansion_factor = 4;
    std::string self_attention_model = "rel_pos";
    int64_t n_heads = 4;
    Json att_context_size;
    bool xscaling = true, untie_biases = true;
    int64_t pos_emb_max_len = 5000, conv_kernel_size = 31;
    std::string conv_norm_type = "batch_norm";
    double dropout = 0.1, dropout_emb = 0.1, dropout_att = 0.0;
    bool adaptive_scale = true;
    std::optional<int64_t> time_reduce_idx, time_recovery_idx;
    static void describe(OptionSet<Options>& o);
  };
  explicit SqueezeformerEncoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

  void add_adapter(const std::string& name, const Json& config) override;
  bool is_adapter_available() const override;
  void set_enabled_adapters(const std::optional<std::string>& name, bool enabled) override;
  std::vector<std::string> get_enabled_adapters() const override;
  std::vector<std::string> get_adapters() const override;
  void unfreeze_enabled_adapters() override;

  // feat_in, feat_out (channels), subsampling_factor, d_model, n_layers.
  Json properties() const override;

 private:
  void make_pre_encode();
  void make_layers();
  at::Tensor positions_of(int64_t frames, const at::TensorOptions& options);

  const Options options_;
  SelfAttention self_attention_;
  nn::AttentionContext context_;
  std::optional<nn::PositionTable> positions_;
  std::optional<int64_t> reduce_at_, recover_at_;

  std::shared_ptr<Subsampling> subsampling_;  // or
  torch::nn::Linear projection_{nullptr};
  torch::nn::LayerNorm pre_ln_{nullptr};
  std::shared_ptr<TimeReduction> time_reduce_layer_;
  torch::nn::Linear time_recovery_layer_{nullptr}, out_proj_{nullptr};
  std::vector<std::shared_ptr<SqueezeformerLayer>> layers_;
};

}  // namespace fathom::asr
