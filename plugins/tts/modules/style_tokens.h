// Style by a recording (Wang et al. 2018, Style Tokens, arXiv:1803.09017): a reference encoder makes one vector of a
// spectrogram, and attention over learned tokens makes of it an embedding.
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include "fathom/module.h"
#include "plugins/tts/modules/conditioning.h"

namespace fathom::tts {

// inputs (B, n_mels, T), inputs_lengths (B) -> out (B, gru_hidden): 2-d convolutions that halve time and bands, then
// the last state of a GRU. State: layers.N.{conv, norm}, gru.
class ReferenceEncoder final : public NeuralModule {
 public:
  static constexpr const char* kState = "layers.N.{conv, norm}, gru";
  struct Options {
    int64_t n_mels = 80;
    std::vector<int64_t> cnn_filters = {32, 32, 64, 64, 128, 128};
    double dropout = 0.2;
    int64_t gru_hidden = 128, kernel_size = 3, stride = 2, padding = 1;
    bool bias = true;
    static void describe(OptionSet<Options>& o);
  };
  explicit ReferenceEncoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
  std::vector<torch::nn::Conv2d> convs_;
  std::vector<std::shared_ptr<ConditionalLayerNorm>> norms_;
  torch::nn::GRU gru_{nullptr};
};

// inp (B, D, T), inp_lengths (B) -> gst (B, gst_size). State: reference_encoder.*, style_attention.{tokens, mha.*}.
class GlobalStyleToken final : public NeuralModule {
 public:
  static constexpr const char* kState = "reference_encoder.*, style_attention.{tokens, mha.*}";
  struct Options {
    Json reference_encoder;
    int64_t gst_size = 128, n_style_token = 10, n_style_attn_head = 4;
    static void describe(OptionSet<Options>& o);
  };
  explicit GlobalStyleToken(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  at::Tensor attend(const at::Tensor& style) const;  // (B, gst_size) -> the same

  Options options_;
  ModuleHandle reference_encoder_;
  at::Tensor tokens_;               // (n_style_token, gst_size / heads)
  at::Tensor whole_;                // of one head: the three projections in one, as torch has them
  at::Tensor query_, key_, value_;  // projections' weights otherwise
  at::Tensor in_bias_;              // of all three
  torch::nn::Linear out_{nullptr};
};

}  // namespace fathom::tts
