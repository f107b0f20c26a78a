// TokenClassifier: from a decoder's hidden states to the classes of every token.
#pragma once

#include "fathom/module.h"
#include "plugins/lib/nn/activation.h"

namespace fathom::asr {

// hidden_states (B, T, D) -> log_probs (B, T, V), or logits without log_softmax.
// State: mlp.layerN.{weight, bias}, N = 0, 2, 4, …: between two layers stands the activation.
class TokenClassifier final : public NeuralModule {
 public:
  struct Options {
    int64_t hidden_size = 0, num_classes = 0, num_layers = 1;
    std::string activation = "relu";
    bool log_softmax = true, use_transformer_init = true;
    double dropout = 0;
    static void describe(OptionSet<Options>& o);
  };
  explicit TokenClassifier(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;

  // Puts `weight` in the place of the first layer's: from now on they are one parameter. (num_classes, hidden_size)
  // where there is one layer.
  void tie_first_weight(const at::Tensor& weight);

 private:
  class Layer;
  Options options_;
  nn::Activation activation_;
  std::vector<std::shared_ptr<Layer>> layers_;
};

}  // namespace fathom::asr
