#include "plugins/asr/modules/lstm_decoder.h"

#include <ATen/ATen.h>

#include "plugins/asr/option_range.h"

namespace fathom::asr {
namespace {

Ports lstm_inputs() { return {{"encoder_output", {"B D T", AcousticEncodedRepresentation{}}}}; }
Ports lstm_outputs() { return {{"logprobs", {"B T D", LogprobsType{}}}}; }

}  // namespace

void LSTMDecoder::Options::describe(OptionSet<Options>& o) {
  o.required("feat_in", &Options::feat_in, "channels of the encoder's output").example(64);
  o.required("num_classes", &Options::num_classes, "symbols without the blank").example(28);
  o.required("lstm_hidden_size", &Options::lstm_hidden_size, "width of an LSTM's state").example(32);
  o("vocabulary", &Options::vocabulary, "the symbols");
  o("bidirectional", &Options::bidirectional, "frames are read from both ends");
  o("num_layers", &Options::num_layers, "LSTMs, one on another");
  o("add_blank", &Options::add_blank, "one more class, the last, for CTC's blank");
}

LSTMDecoder::LSTMDecoder(const Options& o) : feat_in_(o.feat_in) {
  constexpr int64_t kLargest = 1 << 20;
  check_range("feat_in", o.feat_in, 1, kLargest);
  check_range("num_classes", o.num_classes, 1, kLargest);
  check_range("lstm_hidden_size", o.lstm_hidden_size, 1, kLargest);
  check_range("num_layers", o.num_layers, 1, 1000);
  if (o.vocabulary && static_cast<int64_t>(o.vocabulary->size()) != o.num_classes) {
    throw Error(Code::kFailed, "num_classes is not the vocabulary's size")
        .at("num_classes")
        .seen(std::to_string(o.num_classes))
        .expected(std::to_string(o.vocabulary->size()));
  }
  lstm_layer_ = register_module("lstm_layer", torch::nn::LSTM(torch::nn::LSTMOptions(o.feat_in, o.lstm_hidden_size)
                                                                  .num_layers(o.num_layers)
                                                                  .batch_first(true)
                                                                  .bidirectional(o.bidirectional)));
  linear_layer_ = register_module("linear_layer", torch::nn::Linear(o.lstm_hidden_size * (o.bidirectional ? 2 : 1),
                                                                    o.num_classes + (o.add_blank ? 1 : 0)));
}

Ports LSTMDecoder::inputs() const { return lstm_inputs(); }
Ports LSTMDecoder::outputs() const { return lstm_outputs(); }
void LSTMDecoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(lstm_inputs());
  schema["outputs"] = ports_json(lstm_outputs());
}

Values LSTMDecoder::forward(const Values& in) {
  const at::Tensor states = std::get<0>(lstm_layer_(in.tensor("encoder_output").transpose(1, 2)));
  return {{"logprobs", at::log_softmax(linear_layer_(states), -1)}};
}

Values LSTMDecoder::input_example() const {
  return {{"encoder_output", at::randn({1, feat_in_, 256}, linear_layer_->weight.options().requires_grad(false))}};
}

}  // namespace fathom::asr
