#include "plugins/tts/modules/temporal_predictor.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

Ports predictor_inputs() {
  return {{"enc", {"B T D", EncodedRepresentation{}}},
          {"enc_mask", {"B T D", ElementType{"ElementType", Json::object()}}},
          {"conditioning", {"B T D", EncodedRepresentation{}}, /*is_optional=*/true}};
}
Ports predictor_outputs() { return {{"out", {"B T", EncodedRepresentation{}}}}; }

}  // namespace

void TemporalPredictor::Options::describe(OptionSet<Options>& o) {
  o("input_size", &Options::input_size, "width of the encoder's output");
  o("filter_size", &Options::filter_size, "channels of the convolutions");
  o("kernel_size", &Options::kernel_size, "of the convolutions, odd", "tokens");
  o("dropout", &Options::dropout, "after each convolution");
  o("n_layers", &Options::n_layers, "convolutions");
  o("condition_types", &Options::condition_types, "what a speaker's embedding changes: add, concat, layernorm");
}

TemporalPredictor::TemporalPredictor(const Options& o) : options_(o) {
  constexpr int64_t kWidest = 1 << 16;
  check_range("input_size", o.input_size, 1, kWidest);
  check_range("filter_size", o.filter_size, 1, kWidest);
  check_range("kernel_size", o.kernel_size, 1, 1 << 10);
  check_range("n_layers", o.n_layers, 0, 1000);
  if (o.kernel_size % 2 == 0) {
    throw Error(Code::kFailed, "option is out of range")
        .at("kernel_size")
        .seen(std::to_string(o.kernel_size))
        .expected("an odd number");
  }
  condition_ =
      register_module("cond_input", std::make_shared<ConditionalInput>(o.input_size, o.input_size, o.condition_types));
  torch::nn::ModuleList list = register_module("layers", torch::nn::ModuleList());
  for (int64_t i = 0; i < o.n_layers; ++i) {
    const auto layer = std::make_shared<torch::nn::Module>();
    convs_.push_back(layer->register_module(
        "conv",
        torch::nn::Conv1d(torch::nn::Conv1dOptions(i == 0 ? o.input_size : o.filter_size, o.filter_size, o.kernel_size)
                              .padding(o.kernel_size / 2))));
    norms_.push_back(layer->register_module(
        "norm", std::make_shared<ConditionalLayerNorm>(o.filter_size, o.input_size, o.condition_types)));
    list->push_back(layer);
  }
  rows_.resize(convs_.size());
  fc_ = register_module("fc", torch::nn::Linear(o.n_layers == 0 ? o.input_size : o.filter_size, 1));
}

Ports TemporalPredictor::inputs() const { return predictor_inputs(); }
Ports TemporalPredictor::outputs() const { return predictor_outputs(); }
void TemporalPredictor::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(predictor_inputs());
  schema["outputs"] = ports_json(predictor_outputs());
}

Values TemporalPredictor::forward(const Values& in) {
  const at::Tensor conditioning = in.tensor_or_undefined("conditioning");
  at::Tensor x = condition_->forward(in.tensor("enc"), conditioning);
  const at::Tensor mask = in.tensor("enc_mask").to(x.scalar_type());
  x = x * mask;
  for (size_t i = 0; i < convs_.size(); ++i) {
    x = rows_[i](*convs_[i], x, /*relu=*/true);
    x = at::dropout(norms_[i]->forward(x, conditioning), options_.dropout, is_training());
  }
  return {{"out", (fc_(x) * mask).squeeze(-1)}};
}

Values TemporalPredictor::input_example() const {
  const auto options = fc_->weight.options().requires_grad(false);
  return {{"enc", at::randn({1, 16, options_.input_size}, options)}, {"enc_mask", at::ones({1, 16, 1}, options)}};
}

}  // namespace fathom::tts
