#include "plugins/asr/modules/conv_asr_reconstruction.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>

#include "plugins/asr/option_range.h"
#include "plugins/lib/nn/conv_norm.h"

namespace fathom::asr {
namespace {

Ports reconstruction_inputs() { return {{"encoder_output", {"B D T", AcousticEncodedRepresentation{}}}}; }
Ports reconstruction_outputs(bool log_probs) {
  if (log_probs) return {{"out", {"B T D", LogprobsType{}}}};
  return {{"out", {"B T D", AcousticEncodedRepresentation{}}}};
}

}  // namespace

void ConvASRDecoderReconstruction::Options::describe(OptionSet<Options>& o) {
  o.required("feat_in", &Options::feat_in, "channels of the encoder's output").example(64);
  o.required("feat_out", &Options::feat_out, "features of a frame").example(80);
  o.required("feat_hidden", &Options::feat_hidden, "channels in between").example(32);
  o("stride_layers", &Options::stride_layers, "layers that double the number of frames");
  o("non_stride_layers", &Options::non_stride_layers, "layers that keep it");
  o("kernel_size", &Options::kernel_size, "of their depthwise convolutions: odd, at least 3");
  o("init_mode", &Options::init_mode, "xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal or null");
  o("activation", &Options::activation, "relu, hardtanh, selu, swish, silu or gelu");
  o("stride_transpose", &Options::stride_transpose, "stride layers double the frames; otherwise they halve them");
  o("apply_softmax", &Options::apply_softmax, "log-probs instead of features");
}

ConvASRDecoderReconstruction::ConvASRDecoderReconstruction(const Options& options) : options_(options) {
  const Options& o = options_;
  constexpr int64_t kLargest = 1 << 20;
  check_range("feat_in", o.feat_in, 1, kLargest);
  check_range("feat_out", o.feat_out, 1, kLargest);
  check_range("feat_hidden", o.feat_hidden, 1, kLargest);
  check_range("stride_layers", o.stride_layers, 0, 16);
  check_range("non_stride_layers", o.non_stride_layers, 0, 1000);
  if (o.stride_layers + o.non_stride_layers > 0 &&
      (o.kernel_size < 3 || o.kernel_size % 2 == 0 || o.kernel_size > kLargest)) {
    throw Error(Code::kFailed, "kernel_size must be odd")
        .at("kernel_size")
        .seen(std::to_string(o.kernel_size))
        .expected("an odd number from 3 on");
  }
  torch::nn::ModuleList layers;
  const nn::Activation activation = nn::parse_activation(o.activation);
  const auto add = [&](auto layer) {
    layers->push_back(layer);
    steps_.push_back([layer](const at::Tensor& x) { return layer->forward(x); });
  };
  const auto add_convolution = [&](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups) {
    nn::ConvOptions conv;
    conv.in_channels = in;
    conv.out_channels = out;
    conv.kernel = kernel;
    conv.stride = stride;
    conv.groups = groups;
    conv.pad_left = conv.pad_right = kernel / 2;
    conv.bias = true;
    const auto layer = std::make_shared<nn::Conv1dLayer>(conv);
    layers->push_back(layer);
    steps_.push_back([layer](const at::Tensor& x) { return layer->forward(x); });
  };
  const auto add_tail = [&] {
    add_convolution(o.feat_hidden, o.feat_hidden, 1, 1, 1);
    const auto norm = std::make_shared<torch::nn::BatchNorm1dImpl>(
        torch::nn::BatchNorm1dOptions(o.feat_hidden).eps(1e-3).momentum(0.1));
    layers->push_back(norm);
    steps_.push_back([norm](const at::Tensor& x) { return nn::apply_norm(*norm, x); });
  };
  add_convolution(o.feat_in, o.feat_hidden, 1, 1, 1);
  for (int64_t i = 0; i < o.stride_layers; ++i) {
    add(std::make_shared<nn::ActivationLayer>(activation));
    if (o.stride_transpose) {
      add(std::make_shared<torch::nn::ConvTranspose1dImpl>(
          torch::nn::ConvTranspose1dOptions(o.feat_hidden, o.feat_hidden, o.kernel_size)
              .stride(2)
              .padding((o.kernel_size - 1) / 2)
              .output_padding(1)
              .groups(o.feat_hidden)));
    } else {
      add_convolution(o.feat_hidden, o.feat_hidden, o.kernel_size, 2, o.feat_hidden);
    }
    add_tail();
  }
  for (int64_t i = 0; i < o.non_stride_layers; ++i) {
    add(std::make_shared<nn::ActivationLayer>(activation));
    add_convolution(o.feat_hidden, o.feat_hidden, o.kernel_size, 1, o.feat_hidden);
    add_tail();
  }
  add(std::make_shared<nn::ActivationLayer>(activation));
  add_convolution(o.feat_hidden, o.feat_out, 1, 1, 1);
  register_module("decoder_layers", layers);
  nn::init_weights(*this, o.init_mode.value_or(""));
}

Ports ConvASRDecoderReconstruction::inputs() const { return reconstruction_inputs(); }
Ports ConvASRDecoderReconstruction::outputs() const { return reconstruction_outputs(options_.apply_softmax); }
void ConvASRDecoderReconstruction::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(reconstruction_inputs());
  schema["outputs"] = ports_json(reconstruction_outputs(false));
}

Values ConvASRDecoderReconstruction::forward(const Values& in) {
  at::Tensor x = in.tensor("encoder_output");
  for (const Step& step : steps_) x = step(x);
  x = x.transpose(1, 2);
  return {{"out", options_.apply_softmax ? at::log_softmax(x, -1) : x}};
}

Values ConvASRDecoderReconstruction::input_example() const {
  return {
      {"encoder_output", at::randn({1, options_.feat_in, 128}, parameters().front().options().requires_grad(false))}};
}

}  // namespace fathom::asr
