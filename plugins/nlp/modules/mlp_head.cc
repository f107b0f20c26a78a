#include "plugins/nlp/modules/mlp_head.h"

#include <ATen/ATen.h>

#include "plugins/lib/option_range.h"

namespace fathom::nlp {

MlpHead::MlpHead(const HeadOptions& options)
    : dropout_(options.dropout), activation_(nn::parse_bert_activation(options.activation, "activation")) {
  check_range("num_output_layers", options.layers, 1, 64);
  if (!(options.dropout >= 0 && options.dropout <= 1))
    throw Error(Code::kFailed, "a dropout is no share")
        .at("fc_dropout")
        .seen(std::to_string(options.dropout))
        .expected("0 to 1");
  auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < options.layers; ++i) {
    const bool last = i + 1 == options.layers;
    layers_.push_back(mlp->register_module("layer" + std::to_string(2 * i),
                                           torch::nn::Linear(options.width, last ? options.classes : options.width)));
  }
  if (!options.transformer_init) return;
  const at::NoGradGuard no_grad;
  for (auto& layer : layers_) {
    layer->weight.normal_(0, 0.02);
    layer->bias.zero_();
  }
}

at::Tensor MlpHead::forward(const at::Tensor& states) {
  at::Tensor x = at::dropout(states, dropout_, is_training());
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (i > 0) x = nn::bert_activate(x, activation_);
    x = layers_[i](x);
  }
  return x;
}

}  // namespace fathom::nlp
