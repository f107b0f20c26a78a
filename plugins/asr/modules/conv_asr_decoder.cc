#include "plugins/asr/modules/conv_asr_decoder.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

namespace fathom::asr {
namespace {

Ports encoder_output() { return {{"encoder_output", {"B D T", AcousticEncodedRepresentation{}}}}; }
Ports logprobs() { return {{"logprobs", {"B T D", LogprobsType{}}}}; }
Ports logits() { return {{"logits", {"B D", LogitsType{}}}}; }
constexpr const char* kInitModes =
    "xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, tds_uniform, tds_normal or null";

}  // namespace

void ConvASRDecoder::Options::describe(OptionSet<Options>& o) {
  o("feat_in", &Options::feat_in, "channels of the encoder's output; null: a model gives its encoder's");
  o("num_classes", &Options::num_classes, "symbols without the blank; not positive: the vocabulary's size");
  o("init_mode", &Options::init_mode, kInitModes);
  o("vocabulary", &Options::vocabulary, "the symbols");
  o("add_blank", &Options::add_blank, "one more class, the last, for CTC's blank");
}

ConvASRDecoder::ConvASRDecoder(const Options& o) {
  if (!o.feat_in) throw Error(Code::kFailed, "a decoder needs the channels of its input").at("feat_in").seen("null");
  if (!o.vocabulary && o.num_classes < 0) {
    throw Error(Code::kFailed, "a decoder needs num_classes or a vocabulary")
        .next("set decoder.vocabulary, or the model's labels");
  }
  int64_t classes = o.num_classes;
  if (o.vocabulary) {
    const auto size = static_cast<int64_t>(o.vocabulary->size());
    if (classes <= 0) classes = size;
    if (classes != size) {
      throw Error(Code::kFailed, "num_classes is not the vocabulary's size")
          .at("num_classes")
          .seen(std::to_string(classes))
          .expected(std::to_string(size) + " or -1");
    }
  }
  if (classes + (o.add_blank ? 1 : 0) < 1) throw Error(Code::kFailed, "the decoder has no classes").at("num_classes");
  nn::ConvOptions conv;
  conv.in_channels = *o.feat_in;
  conv.out_channels = classes + (o.add_blank ? 1 : 0);
  conv.bias = true;
  layer_ = std::make_shared<nn::Conv1dLayer>(conv);
  torch::nn::ModuleList layers;
  layers->push_back(layer_);
  register_module("decoder_layers", layers);
  nn::init_weights(*this, o.init_mode.value_or(""));
}

Ports ConvASRDecoder::inputs() const { return encoder_output(); }
Ports ConvASRDecoder::outputs() const { return logprobs(); }
void ConvASRDecoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(encoder_output());
  schema["outputs"] = ports_json(logprobs());
}

Values ConvASRDecoder::forward(const Values& in) {
  // A 1x1 convolution, written as a linear layer so that the classes end up innermost without a copy.
  const at::Tensor frames = in.tensor("encoder_output").transpose(1, 2);
  return {{"logprobs", at::log_softmax(at::linear(frames, layer_->weight.squeeze(-1), layer_->bias), -1)}};
}

Values ConvASRDecoder::input_example() const {
  return {{"encoder_output", at::randn({1, layer_->options().in_channels, 128}, layer_->weight.options())}};
}

void ConvASRDecoderClassification::Options::describe(OptionSet<Options>& o) {
  o.required("feat_in", &Options::feat_in, "channels of the encoder's output");
  o.required("num_classes", &Options::num_classes, "number of classes");
  o("init_mode", &Options::init_mode, kInitModes);
  o("return_logits", &Options::return_logits, "logits; otherwise probabilities");
  o("pooling_type", &Options::pooling_type, "avg or max, over time");
}

ConvASRDecoderClassification::ConvASRDecoderClassification(const Options& o)
    : options_(o), linear_(torch::nn::Linear(o.feat_in, o.num_classes)) {
  if (o.pooling_type != "avg" && o.pooling_type != "max") {
    throw Error(Code::kFailed, "unknown pooling_type").at("pooling_type").seen(o.pooling_type).expected("avg or max");
  }
  torch::nn::ModuleList layers;
  layers->push_back(linear_);
  register_module("decoder_layers", layers);
  nn::init_weights(*this, o.init_mode.value_or(""));
}

Ports ConvASRDecoderClassification::inputs() const { return encoder_output(); }
Ports ConvASRDecoderClassification::outputs() const { return logits(); }
void ConvASRDecoderClassification::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(encoder_output());
  schema["outputs"] = ports_json(logits());
}

Values ConvASRDecoderClassification::forward(const Values& in) {
  const at::Tensor& x = in.tensor("encoder_output");
  const at::Tensor out = linear_->forward(options_.pooling_type == "avg" ? x.mean(-1) : x.amax(-1));
  return {{"logits", options_.return_logits ? out : at::softmax(out, -1)}};
}

Values ConvASRDecoderClassification::input_example() const {
  return {{"encoder_output", at::randn({1, options_.feat_in, 128}, linear_->weight.options())}};
}

}  // namespace fathom::asr
