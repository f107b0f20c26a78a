// ConformerEncoder: Conformer (Gulati et al. 2020, arXiv:2005.08100) and, with subsampling dw_striding, FastConformer
// (Rekesh et al. 2023, arXiv:2305.05084).
#pragma once

#include "fathom/module.h"
#include "plugins/asr/modules/conformer_context.h"
#include "plugins/asr/modules/conformer_layer.h"
#include "plugins/asr/modules/inference_compute.h"
#include "plugins/lib/nn/positional_encoding.h"

namespace fathom::asr {

// audio_signal (B, D, T), length (B) -> outputs (B, D', T'), encoded_lengths (B). D = feat_in; T' counts frames after
// subsampling and reduction. bypass_pre_encode: audio_signal is (B, T, d_model), subsampled already.
//
// Cache-aware streaming: a chunk of the input with cache_last_channel (layers, B, C, d_model), cache_last_time (layers,
// B, d_model, left side of the convolutions) and cache_last_channel_len (B), all zero before the first chunk, gives the
// next three beside its output. C is last_channel_cache_size of the property `streaming`, which also says how the input
// is cut; drop_extra_pre_encoded frames are left out of a chunk's output, but for the first chunk, which has no frames
// before it (port drop_extra_pre_encoded: 0).
//
// State: pre_encode.…, layers.N.…, and where the options ask for them reduction_subsampling.… and out_proj.…
// Adapters go into every layer, after its last norm, with d_model as their in_features.
class ConformerEncoder final : public NeuralModule,
                               public AdapterHost,
                               public AccessMixin,
                               public HasProperties,
                               public InferenceCompute {
 public:
  static constexpr const char* kState =
      "pre_encode.conv.N.* and pre_encode.out.* (or proj_out, pre_norm); of layer N layers.N.{norm_feed_forward1, "
      "feed_forward1.linear1, feed_forward1.linear2, norm_conv, conv.pointwise_conv1, conv.depthwise_conv, "
      "conv.batch_norm, conv.pointwise_conv2, norm_self_att, self_attn.pos_bias_u, self_attn.pos_bias_v, "
      "self_attn.linear_q, linear_k, linear_v, linear_out, linear_pos, norm_feed_forward2, feed_forward2, norm_out}; "
      "reduction_subsampling.reduction_enc.*, out_proj.*";
  struct Options {
    int64_t feat_in = 0, n_layers = 0, d_model = 0, feat_out = -1;
    bool causal_downsampling = false;
    std::optional<std::string> subsampling = "striding";
    int64_t subsampling_factor = 4, subsampling_conv_chunking_factor = 1, subsampling_conv_channels = -1;
    bool subsampling_conv_masking = true;
    std::optional<std::string> reduction;
    std::optional<int64_t> reduction_position;
    int64_t reduction_factor = 1, ff_expansion_factor = 4;
    std::string self_attention_model = "rel_pos";
    int64_t n_heads = 4;
    Json att_context_size, att_context_probs, att_chunk_context_size;
    std::string att_context_style = "regular";
    bool xscaling = true, untie_biases = true;
    int64_t pos_emb_max_len = 5000, conv_kernel_size = 31;
    std::string conv_norm_type = "batch_norm";
    Json conv_context_size;
    std::string conv_context_style = "regular";
    bool use_bias = true;
    double dropout = 0.1, dropout_pre_encoder = 0.1, dropout_emb = 0.1, dropout_att = 0.0;
    double stochastic_depth_drop_prob = 0.0;
    std::string stochastic_depth_mode = "linear";
    int64_t stochastic_depth_start_layer = 1;
    int64_t global_tokens = 0, global_tokens_spacing = 1;
    bool global_attn_separate = false, use_pytorch_sdpa = false;
    std::optional<std::vector<std::string>> use_pytorch_sdpa_backends;
    bool sync_max_audio_length = true;
    static void describe(OptionSet<Options>& o);
  };
  explicit ConformerEncoder(const Options& options);

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

  // feat_in, feat_out (channels), subsampling_factor (frames in per frame out, reduction included), d_model, n_layers,
  // conv_context_size, att_context_size (every choice), and `streaming` where the context allows it.
  Json properties() const override;

  // The weights of its products for one precision, once: "32", "bf16" or "int8".
  void prepare_inference(const std::string& precision) override;
  const void* query(std::string_view id);

  // The context outside training, from now on. Streaming follows.
  void set_default_context(const nn::AttentionContext& context);
  const nn::AttentionContext& context() const { return context_; }
  // How chunks are cut from now on. Throws Error for a context without end to the right.
  void setup_streaming(const StreamingRequest& request);
  const std::optional<StreamingConfig>& streaming() const { return streaming_; }

 private:
  void make_pre_encode();
  void make_layers();
  const nn::AttentionContext& context_now() const;
  Frames pre_encode(const Values& in, bool cached);
  // Throws Error unless all are there and fit a batch of so many items.
  void check_caches(const at::Tensor& channel, const at::Tensor& time, const at::Tensor& remembered,
                    int64_t batch) const;
  at::Tensor positions_of(int64_t frames);
  void hand_out(size_t layer, const Frames& frames);
  Subsampling::Streaming frames_of_streaming() const;

  const Options options_;
  bool prepared_ = false;  // for inference
  SelfAttention self_attention_;
  AttentionContexts contexts_;
  nn::AttentionContext context_;
  std::pair<int64_t, int64_t> conv_context_;
  std::optional<StreamingConfig> streaming_;
  std::optional<nn::PositionTable> positions_;
  std::vector<double> drop_probabilities_;

  std::shared_ptr<Subsampling> subsampling_;  // or
  torch::nn::Linear projection_{nullptr};
  std::shared_ptr<SubsamplingReduction> reduction_;
  std::vector<std::shared_ptr<ConformerLayer>> layers_;
  torch::nn::Linear out_proj_{nullptr};
};

// Probability that each layer is left out in training (Huang et al. 2016, arXiv:1603.09382; Pratap et al. 2021,
// arXiv:2102.03216): 0 before `start`, then growing to `probability` ("linear") or equal ("uniform").
std::vector<double> stochastic_depth(int64_t layers, double probability, const std::string& mode, int64_t start);

}  // namespace fathom::asr
