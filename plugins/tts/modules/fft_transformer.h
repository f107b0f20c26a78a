// The feed-forward transformers of FastPitch (Lancucki 2020, arXiv:2006.06873; FastSpeech, Ren et al. 2019,
// arXiv:1905.09263): attention, then two convolutions in time.
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>

#include "fathom/module.h"
#include "plugins/lib/nn/packed_conv.h"
#include "plugins/tts/modules/conditioning.h"

namespace fathom::tts {

struct FFTransformerOptions {
  int64_t n_layer = 6, n_head = 1, d_model = 384, d_head = 64, d_inner = 1536, kernel_size = 3;
  double dropout = 0.1, dropatt = 0.1, dropemb = 0;
  bool pre_lnorm = false;
  std::vector<std::string> condition_types;
  static void describe(OptionSet<FFTransformerOptions>& o);
};

// One layer; its state: dec_attn.{qkv_net, o_net, layer_norm}, pos_ff.{CoreNet.0, CoreNet.2, layer_norm}.
class FFTransformerLayer : public torch::nn::Module {
 public:
  explicit FFTransformerLayer(const FFTransformerOptions& options);
  // x (B, T, d_model), mask (B, T, 1) in x's type, hidden (B, 1, T) bool: true where there is nothing.
  at::Tensor forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& hidden, const at::Tensor& conditioning);
  void train(bool on = true) override {
    torch::nn::Module::train(on);
    first_rows_.reset();
    second_rows_.reset();
  }

 private:
  at::Tensor attend(const at::Tensor& x, const at::Tensor& hidden) const;

  FFTransformerOptions options_;
  torch::nn::Linear qkv_{nullptr}, out_{nullptr};
  torch::nn::Conv1d first_{nullptr}, second_{nullptr};
  nn::RowConv first_rows_, second_rows_;
  std::shared_ptr<ConditionalLayerNorm> attention_norm_, conv_norm_;
};

// input (B, T, d_model), seq_lens (B) -> out (B, T, d_model), mask (B, T, 1) bool. State: pos_emb.inv_freq, layers.N.*.
class FFTransformerDecoder : public NeuralModule, public HasProperties {
 public:
  using Options = FFTransformerOptions;
  static constexpr const char* kState =
      "pos_emb.inv_freq; of layer N layers.N.dec_attn.{qkv_net, o_net, layer_norm}, layers.N.pos_ff.{CoreNet.0, "
      "CoreNet.2, "
      "layer_norm}";
  explicit FFTransformerDecoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  Json properties() const override { return {{"d_model", options_.d_model}}; }

 protected:
  at::Tensor run(const at::Tensor& x, const at::Tensor& valid, const at::Tensor& conditioning);
  FFTransformerOptions options_;

 private:
  at::Tensor inv_freq_;
  std::vector<std::shared_ptr<FFTransformerLayer>> layers_;
  std::shared_ptr<ConditionalInput> condition_;
};

// input (B, T) tokens -> out (B, T, d_model), mask (B, T, 1) bool: false where the token is padding_idx. State: that of
// the decoder, and word_emb.weight.
class FFTransformerEncoder final : public FFTransformerDecoder {
 public:
  struct Options : FFTransformerOptions {
    int64_t n_embed = 0;
    std::optional<int64_t> d_embed;
    int64_t padding_idx = 0;
    static void describe(OptionSet<Options>& o);
  };
  static constexpr const char* kState = "that of FFTransformerDecoder; word_emb.weight";
  explicit FFTransformerEncoder(const Options& options);

  Ports inputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  Json properties() const override;

 private:
  int64_t padding_idx_;
  torch::nn::Embedding word_emb_;
};

}  // namespace fathom::tts
