#include "plugins/tts/modules/style_tokens.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>

#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

constexpr int64_t kWidestStyle = 1 << 16;

Ports reference_inputs() {
  return {{"inputs", {"B D T", MelSpectrogramType{}}}, {"inputs_lengths", {"B", LengthsType{}}}};
}
Ports reference_outputs() { return {{"out", {"B D", EncodedRepresentation{}}}}; }
Ports style_inputs() { return {{"inp", {"B D T", MelSpectrogramType{}}}, {"inp_lengths", {"B", LengthsType{}}}}; }
Ports style_outputs() { return {{"gst", {"B D", EncodedRepresentation{}}}}; }

// What a convolution of stride 2 leaves of a length.
template <typename Length>
Length halved(const Length& length) {
  if constexpr (std::is_integral_v<Length>)
    return (length - 1) / 2 + 1;
  else
    return at::div(length - 1, 2, "floor") + 1;
}

// (B, T, 1, 1) of ones and zeros.
at::Tensor style_mask(const at::Tensor& lengths, int64_t most, const at::Tensor& like) {
  return (at::arange(most, lengths.options()).unsqueeze(0) < lengths.unsqueeze(1))
      .to(like.scalar_type())
      .unsqueeze(2)
      .unsqueeze(3);
}

}  // namespace

void ReferenceEncoder::Options::describe(OptionSet<Options>& o) {
  o("n_mels", &Options::n_mels, "mel bands");
  o("cnn_filters", &Options::cnn_filters, "channels of each convolution");
  o("dropout", &Options::dropout, "after each convolution");
  o("gru_hidden", &Options::gru_hidden, "width of the GRU: as gst_size");
  o("kernel_size", &Options::kernel_size, "of the convolutions, odd");
  o("stride", &Options::stride, "only 2: NeMo's lengths know no other");
  o("padding", &Options::padding, "only (kernel_size - 1) / 2, for the same reason");
  o("bias", &Options::bias, "of the convolutions");
}

ReferenceEncoder::ReferenceEncoder(const Options& o) : options_(o) {
  check_range("n_mels", o.n_mels, 1, kWidestStyle);
  check_range("gru_hidden", o.gru_hidden, 1, kWidestStyle);
  check_range("kernel_size", o.kernel_size, 1, 1 << 8);
  check_range("stride", o.stride, 2, 2);
  check_range("padding", o.padding, (o.kernel_size - 1) / 2, (o.kernel_size - 1) / 2);
  const auto need = [](bool good, const char* option, const std::string& seen, const char* expected) {
    if (!good) throw Error(Code::kFailed, "option is out of range").at(option).seen(seen).expected(expected);
  };
  need(o.kernel_size % 2 == 1, "kernel_size", std::to_string(o.kernel_size), "an odd number");
  need(!o.cnn_filters.empty(), "cnn_filters", "[]", "at least one convolution");
  need(o.dropout >= 0 && o.dropout < 1, "dropout", std::to_string(o.dropout), "0 to below 1");
  torch::nn::ModuleList list = register_module("layers", torch::nn::ModuleList());
  int64_t channels = 1, bands = o.n_mels;
  for (const int64_t filters : o.cnn_filters) {
    check_range("cnn_filters", filters, 1, kWidestStyle);
    const auto layer = std::make_shared<torch::nn::Module>();
    convs_.push_back(
        layer->register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(channels, filters, o.kernel_size)
                                                             .stride(o.stride)
                                                             .padding(o.padding)
                                                             .bias(o.bias))));
    norms_.push_back(layer->register_module(
        "norm", std::make_shared<ConditionalLayerNorm>(filters, filters, std::vector<std::string>{})));
    list->push_back(layer);
    channels = filters;
    bands = halved(bands);
  }
  gru_ =
      register_module("gru", torch::nn::GRU(torch::nn::GRUOptions(channels * bands, o.gru_hidden).batch_first(true)));
}

Ports ReferenceEncoder::inputs() const { return reference_inputs(); }
Ports ReferenceEncoder::outputs() const { return reference_outputs(); }
void ReferenceEncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(reference_inputs());
  schema["outputs"] = ports_json(reference_outputs());
}

Values ReferenceEncoder::forward(const Values& in) {
  at::Tensor lengths = in.tensor("inputs_lengths").to(at::kLong);
  const at::Tensor& spec = in.tensor("inputs");
  if (lengths.numel() == 0 || lengths.min().item<int64_t>() < 1) {
    throw Error(Code::kBadData, "a reference recording has no frames")
        .seen(lengths.numel() == 0 ? "no item" : std::to_string(lengths.min().item<int64_t>()) + " frames")
        .expected("at least 1");
  }
  // (B, T, bands, channels)
  at::Tensor x = spec.slice(2, 0, lengths.max().item<int64_t>()).transpose(1, 2).unsqueeze(3);
  for (size_t i = 0; i < convs_.size(); ++i) {
    x = x * style_mask(lengths, x.size(1), x);
    x = at::relu(convs_[i](x.permute({0, 3, 1, 2}))).permute({0, 2, 3, 1});
    x = at::dropout(norms_[i]->forward(x, {}), options_.dropout, is_training());
    lengths = halved(lengths);
  }
  // It only looks back: what lies behind an item's end changes nothing at it.
  const at::Tensor states = std::get<0>(gru_(x.reshape({x.size(0), x.size(1), -1})));
  const at::Tensor last = (lengths - 1).view({-1, 1, 1}).expand({-1, 1, states.size(2)});
  return {{"out", states.gather(1, last).squeeze(1)}};
}

Values ReferenceEncoder::input_example() const {
  const auto options = convs_[0]->weight.options().requires_grad(false);
  return {{"inputs", at::randn({2, options_.n_mels, 96}, options)},
          {"inputs_lengths", at::tensor({96, 70}, options.dtype(at::kLong))}};
}

void GlobalStyleToken::Options::describe(OptionSet<Options>& o) {
  o("reference_encoder", &Options::reference_encoder, "from a spectrogram to one vector (ReferenceEncoder)");
  o("gst_size", &Options::gst_size, "width of the embedding");
  o("n_style_token", &Options::n_style_token, "tokens that are learned");
  o("n_style_attn_head", &Options::n_style_attn_head, "heads of attention over them");
}

GlobalStyleToken::GlobalStyleToken(const Options& o) : options_(o) {
  check_range("gst_size", o.gst_size, 1, kWidestStyle);
  check_range("n_style_token", o.n_style_token, 1, kWidestStyle);
  check_range("n_style_attn_head", o.n_style_attn_head, 1, o.gst_size);
  if (o.gst_size % o.n_style_attn_head != 0) {
    throw Error(Code::kFailed, "option is out of range")
        .at("n_style_attn_head")
        .seen(std::to_string(o.n_style_attn_head))
        .expected("a divisor of gst_size, " + std::to_string(o.gst_size));
  }
  if (!o.reference_encoder.is_object()) {
    throw Error(Code::kFailed, "the style tokens have no reference encoder")
        .at("reference_encoder")
        .expected("a section with _target_: nemo.collections.tts.modules.submodules.ReferenceEncoder");
  }
  reference_encoder_ = make_module(o.reference_encoder, "reference_encoder");
  register_module("reference_encoder", reference_encoder_.torch_module());
  const int64_t size = o.gst_size, width = size / o.n_style_attn_head;
  const auto attention = register_module("style_attention", std::make_shared<torch::nn::Module>());
  tokens_ = attention->register_parameter("tokens", at::randn({o.n_style_token, width}));
  const auto mha = attention->register_module("mha", std::make_shared<torch::nn::Module>());
  const auto weight = [&](const char* name, int64_t rows, int64_t columns) {
    const at::Tensor made = mha->register_parameter(name, at::empty({rows, columns}));
    torch::nn::init::xavier_uniform_(made);
    return made;
  };
  if (width == size) {
    whole_ = weight("in_proj_weight", 3 * size, size);
  } else {
    query_ = weight("q_proj_weight", size, size);
    key_ = weight("k_proj_weight", size, width);
    value_ = weight("v_proj_weight", size, width);
  }
  in_bias_ = mha->register_parameter("in_proj_bias", at::zeros({3 * size}));
  out_ = mha->register_module("out_proj", torch::nn::Linear(size, size));
  torch::nn::init::zeros_(out_->bias);
}

Ports GlobalStyleToken::inputs() const { return style_inputs(); }
Ports GlobalStyleToken::outputs() const { return style_outputs(); }
void GlobalStyleToken::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(style_inputs());
  schema["outputs"] = ports_json(style_outputs());
}

at::Tensor GlobalStyleToken::attend(const at::Tensor& style) const {
  const int64_t size = options_.gst_size, heads = options_.n_style_attn_head, width = size / heads;
  const std::vector<at::Tensor> bias = in_bias_.chunk(3);
  const std::vector<at::Tensor> weights =
      whole_.defined() ? whole_.chunk(3) : std::vector<at::Tensor>{query_, key_, value_};
  const at::Tensor tokens = at::tanh(tokens_);
  // (B, H, 1, width) and (H, tokens, width): the tokens are the same for every item.
  const at::Tensor query = at::linear(style, weights[0], bias[0]).view({style.size(0), heads, 1, width});
  const auto by_head = [&](const at::Tensor& x) { return x.view({x.size(0), heads, width}).transpose(0, 1); };
  const at::Tensor key = by_head(at::linear(tokens, weights[1], bias[1])),
                   value = by_head(at::linear(tokens, weights[2], bias[2]));
  const at::Tensor scores = at::matmul(query * (1 / std::sqrt(static_cast<double>(width))), key.transpose(1, 2));
  const at::Tensor heard = at::matmul(at::softmax(scores, -1), value).reshape({style.size(0), size});
  return at::linear(heard, out_->weight, out_->bias);
}

Values GlobalStyleToken::forward(const Values& in) {
  const at::Tensor style =
      reference_encoder_({{"inputs", in.tensor("inp")}, {"inputs_lengths", in.tensor("inp_lengths")}}).tensor("out");
  if (style.size(1) != options_.gst_size) {
    throw Error(Code::kFailed, "the reference encoder's width is not that of the style tokens")
        .at("gst_module")
        .seen("gst_size " + std::to_string(options_.gst_size) + ", reference_encoder.gru_hidden " +
              std::to_string(style.size(1)))
        .expected("the same number");
  }
  return {{"gst", attend(style)}};
}

Values GlobalStyleToken::input_example() const {
  const Values example = reference_encoder_.input_example();
  return {{"inp", example["inputs"]}, {"inp_lengths", example["inputs_lengths"]}};
}

}  // namespace fathom::tts
