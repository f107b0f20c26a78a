// RNNEncoder: stacked LSTMs with projections (He et al. 2019, arXiv:1811.06621).
#pragma once

#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/modules/rnn.h>

#include "fathom/module.h"
#include "plugins/asr/modules/conv_subsampling.h"

namespace fathom::asr {

// audio_signal (B, feat_in, T), length (B) -> outputs (B, proj_size, T'), encoded_lengths (B). Backward LSTMs begin at
// each item's own end, so that no item depends on the padding. State: pre_encode.…, layers.{3 N} (LSTM) and
// layers.{3 N + 1} (LayerNorm) for layer N.
class RNNEncoder final : public NeuralModule, public HasProperties {
 public:
  static constexpr const char* kState =
      "pre_encode.*; of layer N layers.{3N}.{weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0} (and "
      "*_reverse), layers.{3N+1}.{weight, bias}";
  struct Options {
    int64_t feat_in = 0, n_layers = 0, d_model = 0, proj_size = -1;
    std::string rnn_type = "lstm";
    bool bidirectional = true;
    std::optional<std::string> subsampling = "striding";
    int64_t subsampling_factor = 4, subsampling_conv_channels = -1;
    double dropout = 0.2;
    static void describe(OptionSet<Options>& o);
  };
  explicit RNNEncoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  // feat_in, feat_out (channels), subsampling_factor.
  Json properties() const override;

 private:
  void make_pre_encode();

  Options options_;
  std::shared_ptr<Subsampling> subsampling_;  // or
  torch::nn::Linear projection_{nullptr};
  std::vector<torch::nn::LSTM> lstms_;
  std::vector<torch::nn::LayerNorm> norms_;
};

}  // namespace fathom::asr
