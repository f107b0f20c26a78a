#include "plugins/asr/modules/token_classifier.h"

#include <ATen/ATen.h>

#include "plugins/asr/option_range.h"
#include "plugins/lib/nn/linear.h"
#include "plugins/lib/nn/transformer.h"

namespace fathom::asr {

// torch::nn::Linear, whose weight may become another's.
class TokenClassifier::Layer : public torch::nn::LinearImpl {
 public:
  using torch::nn::LinearImpl::LinearImpl;
  void tie(const at::Tensor& other) {
    if (other.sizes() != weight.sizes()) {
      throw Error(Code::kFailed, "the classifier's weight cannot be the embedding's: they have other shapes")
          .seen(c10::str(weight.sizes()) + " and " + c10::str(other.sizes()))
          .expected("a head with hidden_size and num_classes as the decoder has hidden_size and vocab_size");
    }
    weight = other;
    parameters_["weight"] = other;
  }
};

void TokenClassifier::Options::describe(OptionSet<Options>& o) {
  o.required("hidden_size", &Options::hidden_size, "width of the hidden states").example(8);
  o.required("num_classes", &Options::num_classes, "classes").example(8);
  o("num_layers", &Options::num_layers, "linear layers");
  o("activation", &Options::activation, "between the layers: relu, gelu, silu, selu");
  o("log_softmax", &Options::log_softmax, "give log-probabilities, not logits");
  o("dropout", &Options::dropout, "of the hidden states");
  o("use_transformer_init", &Options::use_transformer_init, "weights from a normal distribution of deviation 0.02");
}

TokenClassifier::TokenClassifier(const Options& options)
    : options_(options), activation_(nn::parse_activation(options.activation)) {
  constexpr int64_t kWidest = 1 << 16, kMostClasses = 1 << 22, kMostLayers = 1 << 10;
  check_range("hidden_size", options.hidden_size, 1, kWidest);
  check_range("num_classes", options.num_classes, 1, kMostClasses);
  check_range("num_layers", options.num_layers, 1, kMostLayers);
  if (!(options.dropout >= 0 && options.dropout < 1))
    throw Error(Code::kFailed, "a dropout lies between 0 and 1").at("dropout").seen(json_text(Json(options.dropout)));
  auto mlp = std::make_shared<torch::nn::Module>();
  for (int64_t i = 0; i < options.num_layers; ++i) {
    const int64_t out = i + 1 == options.num_layers ? options.num_classes : options.hidden_size;
    layers_.push_back(std::make_shared<Layer>(options.hidden_size, out));
    mlp->register_module("layer" + std::to_string(2 * i), layers_.back());
  }
  register_module("mlp", mlp);
  constexpr double kDeviation = 0.02;
  if (options.use_transformer_init) nn::init_transformer(*this, kDeviation, /*glorot=*/false);
}

Ports TokenClassifier::inputs() const { return {{"hidden_states", {"B T D", ChannelType{}}}}; }
Ports TokenClassifier::outputs() const {
  if (options_.log_softmax) return {{"log_probs", {"B T C", LogprobsType{}}}};
  return {{"logits", {"B T C", LogitsType{}}}};
}

Values TokenClassifier::forward(const Values& in) {
  at::Tensor x = in.tensor("hidden_states");
  if (is_training() && options_.dropout > 0) x = at::dropout(x, options_.dropout, true);
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (i > 0) x = nn::activate(x, activation_);
    x = nn::linear(x, layers_[i]);
  }
  // Half precision has too few digits for logarithms that are added up to a loss.
  const bool half = x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
  if (options_.log_softmax) return {{"log_probs", at::log_softmax(x, -1, half ? at::kFloat : x.scalar_type())}};
  return {{"logits", x}};
}

Values TokenClassifier::input_example() const {
  return {{"hidden_states", at::randn({1, 8, options_.hidden_size}, layers_.front()->weight.options())}};
}

void TokenClassifier::tie_first_weight(const at::Tensor& weight) { layers_.front()->tie(weight); }

}  // namespace fathom::asr
