// One number for each token: its duration, pitch or energy (FastPitch, Lancucki 2020, arXiv:2006.06873, 2.1).
#pragma once

#include <torch/nn/modules/conv.h>

#include "fathom/module.h"
#include "plugins/lib/nn/packed_conv.h"
#include "plugins/tts/modules/conditioning.h"

namespace fathom::tts {

// enc (B, T, input_size), enc_mask (B, T, 1) -> out (B, T), zero where the mask is. State: layers.N.{conv, norm}, fc.
class TemporalPredictor final : public NeuralModule {
 public:
  static constexpr const char* kState = "layers.N.{conv, norm}, fc";
  struct Options {
    int64_t input_size = 384, filter_size = 256, kernel_size = 3;
    double dropout = 0.1;
    int64_t n_layers = 2;
    std::vector<std::string> condition_types;
    static void describe(OptionSet<Options>& o);
  };
  explicit TemporalPredictor(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  void train(bool on = true) override {
    NeuralModule::train(on);
    for (auto& rows : rows_) rows.reset();
  }

 private:
  Options options_;
  std::shared_ptr<ConditionalInput> condition_;
  std::vector<torch::nn::Conv1d> convs_;
  std::vector<nn::RowConv> rows_;
  std::vector<std::shared_ptr<ConditionalLayerNorm>> norms_;
  torch::nn::Linear fc_{nullptr};
};

}  // namespace fathom::tts
