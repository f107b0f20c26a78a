// Heads on an encoder's states: linear layers with activations between them, NeMo's MultiLayerPerceptron.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include <string>
#include <vector>

#include "plugins/lib/nn/bert_encoder.h"

namespace fathom::nlp {

struct HeadOptions {
  int64_t width = 0, classes = 0, layers = 1;
  double dropout = 0;  // of the states
  std::string activation = "relu";
  bool transformer_init = true;  // N(0, 0.02), and biases of 0; else as torch's linear layers
};

// Children: mlp.layer0, mlp.layer2, … (those between are activations and have no weights). (…, D) -> (…, C).
class MlpHead : public torch::nn::Module {
 public:
  explicit MlpHead(const HeadOptions& options);
  at::Tensor forward(const at::Tensor& states);

 private:
  double dropout_;
  nn::BertActivation activation_;
  std::vector<torch::nn::Linear> layers_;
};

}  // namespace fathom::nlp
