#include "plugins/tts/modules/tacotron2_encoder.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/utils/rnn.h>

#include <cmath>

#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

constexpr int64_t kMostChannelsOfText = 1 << 14;
constexpr double kEncoderDropout = 0.5, kPostnetGain = 5.0 / 3;

void check_odd_kernel(const char* option, int64_t kernel) {
  check_range(option, kernel, 1, 1 << 10);
  if (kernel % 2 != 0) return;
  throw Error(Code::kFailed, "option is out of range")
      .at(option)
      .seen(std::to_string(kernel))
      .expected("an odd number");
}

Ports token_encoder_inputs() {
  return {{"token_embedding", {"B D T", EmbeddedTextType{}}}, {"token_len", {"B", LengthsType{}}}};
}
Ports token_encoder_outputs() { return {{"encoder_embedding", {"B T D", EmbeddedTextType{}}}}; }
Ports postnet_ports() { return {{"mel_spec", {"B D T", MelSpectrogramType{}}}}; }

}  // namespace

NormedConvStack::NormedConvStack(const std::vector<Layer>& layers) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const auto pair = std::make_shared<torch::nn::Module>(), conv = std::make_shared<torch::nn::Module>();
    convs_.push_back(conv->register_module(
        "conv", torch::nn::Conv1d(
                    torch::nn::Conv1dOptions(layer.in, layer.out, layer.kernel).padding((layer.kernel - 1) / 2))));
    torch::nn::init::xavier_uniform_(convs_.back()->weight, layer.gain);
    pair->register_module("0", conv);
    norms_.push_back(pair->register_module("1", torch::nn::BatchNorm1d(layer.out)));
    register_module(std::to_string(i), pair);
  }
}

void Tacotron2Encoder::Options::describe(OptionSet<Options>& o) {
  o("encoder_n_convolutions", &Options::encoder_n_convolutions, "convolutions before the LSTM");
  o("encoder_embedding_dim", &Options::encoder_embedding_dim, "width of everything, even");
  o("encoder_kernel_size", &Options::encoder_kernel_size, "of the convolutions, odd", "tokens");
}

Tacotron2Encoder::Tacotron2Encoder(const Options& o) : options_(o) {
  check_range("encoder_n_convolutions", o.encoder_n_convolutions, 0, 1000);
  check_range("encoder_embedding_dim", o.encoder_embedding_dim, 2, kMostChannelsOfText);
  check_odd_kernel("encoder_kernel_size", o.encoder_kernel_size);
  if (o.encoder_embedding_dim % 2 != 0) {
    throw Error(Code::kFailed, "option is out of range")
        .at("encoder_embedding_dim")
        .seen(std::to_string(o.encoder_embedding_dim))
        .expected("an even number: each direction of the LSTM has half of it");
  }
  const int64_t width = o.encoder_embedding_dim;
  convolutions_ = register_module("convolutions",
                                  std::make_shared<NormedConvStack>(std::vector<NormedConvStack::Layer>(
                                      static_cast<size_t>(o.encoder_n_convolutions),
                                      NormedConvStack::Layer{width, width, o.encoder_kernel_size, std::sqrt(2.0)})));
  lstm_ = register_module(
      "lstm", torch::nn::LSTM(torch::nn::LSTMOptions(width, width / 2).batch_first(true).bidirectional(true)));
}

Ports Tacotron2Encoder::inputs() const { return token_encoder_inputs(); }
Ports Tacotron2Encoder::outputs() const { return token_encoder_outputs(); }
void Tacotron2Encoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(token_encoder_inputs());
  schema["outputs"] = ports_json(token_encoder_outputs());
}

Values Tacotron2Encoder::forward(const Values& in) {
  at::Tensor x = in.tensor("token_embedding");
  for (size_t i = 0; i < convolutions_->size(); ++i)
    x = at::dropout(at::relu(convolutions_->forward(i, x)), kEncoderDropout, is_training());
  const at::Tensor lengths = in.tensor("token_len").to(at::TensorOptions(at::kLong).device(at::kCPU));
  const auto packed = torch::nn::utils::rnn::pack_padded_sequence(x.transpose(1, 2), lengths, /*batch_first=*/true,
                                                                  /*enforce_sorted=*/false);
  const auto made = std::get<0>(lstm_->forward_with_packed_input(packed));
  return {{"encoder_embedding", std::get<0>(torch::nn::utils::rnn::pad_packed_sequence(made, /*batch_first=*/true))}};
}

Values Tacotron2Encoder::input_example() const {
  const auto options = lstm_->all_weights()[0].options().requires_grad(false);
  return {{"token_embedding", at::randn({1, options_.encoder_embedding_dim, 16}, options)},
          {"token_len", at::full({1}, 16, at::kLong)}};
}

void Tacotron2Postnet::Options::describe(OptionSet<Options>& o) {
  o("n_mel_channels", &Options::n_mel_channels, "mel bands");
  o("postnet_embedding_dim", &Options::postnet_embedding_dim, "channels between the first and the last convolution");
  o("postnet_kernel_size", &Options::postnet_kernel_size, "of the convolutions, odd", "frames");
  o("postnet_n_convolutions", &Options::postnet_n_convolutions, "convolutions");
  o("p_dropout", &Options::p_dropout, "after each convolution");
}

Tacotron2Postnet::Tacotron2Postnet(const Options& o) : options_(o) {
  check_range("n_mel_channels", o.n_mel_channels, 1, kMostChannelsOfText);
  check_range("postnet_embedding_dim", o.postnet_embedding_dim, 1, kMostChannelsOfText);
  check_range("postnet_n_convolutions", o.postnet_n_convolutions, 2, 1000);
  check_odd_kernel("postnet_kernel_size", o.postnet_kernel_size);
  std::vector<NormedConvStack::Layer> layers;
  const int64_t mel = o.n_mel_channels, width = o.postnet_embedding_dim, last = o.postnet_n_convolutions - 1;
  for (int64_t i = 0; i <= last; ++i)
    layers.push_back(
        {i == 0 ? mel : width, i == last ? mel : width, o.postnet_kernel_size, i == last ? 1 : kPostnetGain});
  convolutions_ = register_module("convolutions", std::make_shared<NormedConvStack>(layers));
}

Ports Tacotron2Postnet::inputs() const { return postnet_ports(); }
Ports Tacotron2Postnet::outputs() const { return postnet_ports(); }
void Tacotron2Postnet::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(postnet_ports());
  schema["outputs"] = ports_json(postnet_ports());
}

Values Tacotron2Postnet::forward(const Values& in) {
  const at::Tensor& mel = in.tensor("mel_spec");
  at::Tensor x = mel;
  for (size_t i = 0; i < convolutions_->size(); ++i) {
    x = convolutions_->forward(i, x);
    if (i + 1 < convolutions_->size()) x = at::tanh(x);
    x = at::dropout(x, options_.p_dropout, is_training());
  }
  return {{"mel_spec", mel + x}};
}

Values Tacotron2Postnet::input_example() const {
  return {
      {"mel_spec", at::randn({1, options_.n_mel_channels, 16}, parameters().front().options().requires_grad(false))}};
}

}  // namespace fathom::tts
