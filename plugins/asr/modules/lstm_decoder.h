// LSTMDecoder: LSTMs and a linear layer per frame, for CTC.
#pragma once

#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include "fathom/module.h"

namespace fathom::asr {

// encoder_output (B, D, T) -> logprobs (B, T, V), V = num_classes + 1 with the blank last. It is not told the items'
// lengths: with `bidirectional` an item's log-probs depend on the padding behind it, as in NeMo. State: lstm_layer.…,
// linear_layer.{weight, bias}.
class LSTMDecoder final : public NeuralModule {
 public:
  static constexpr const char* kState =
      "lstm_layer.{weight_ih_lN, weight_hh_lN, bias_ih_lN, bias_hh_lN} (and *_reverse), linear_layer.{weight, bias}";
  struct Options {
    int64_t feat_in = 0, num_classes = 0, lstm_hidden_size = 0, num_layers = 1;
    std::optional<std::vector<std::string>> vocabulary;
    bool bidirectional = false, add_blank = true;
    static void describe(OptionSet<Options>& o);
  };
  explicit LSTMDecoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  int64_t feat_in_;
  torch::nn::LSTM lstm_layer_{nullptr};
  torch::nn::Linear linear_layer_{nullptr};
};

}  // namespace fathom::asr
