#include "plugins/tts/modules/fft_transformer.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>
#include <limits>

#include "plugins/lib/nn/linear.h"
#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

constexpr int64_t kWidest = 1 << 16, kMostLayers = 1000, kWidestKernel = 1 << 10;

Ports decoder_inputs() {
  return {{"input", {"B T D", EncodedRepresentation{}}},
          {"seq_lens", {"B", LengthsType{}}},
          {"conditioning", {"B T D", EncodedRepresentation{}}, /*is_optional=*/true}};
}
Ports encoder_inputs() {
  return {{"input", {"B T", TokenIndex{}}}, {"conditioning", {"B T D", EncodedRepresentation{}}, /*is_optional=*/true}};
}
Ports transformer_outputs() { return {{"out", {"B T D", EncodedRepresentation{}}}, {"mask", {"B T D", MaskType{}}}}; }

// Parameters under `prefix` in their torch names, without a module of torch's in between.
class Sequence : public torch::nn::Module {
 public:
  template <typename Layer>
  Layer add(const std::string& place, Layer layer) {
    return register_module(place, std::move(layer));
  }
};

}  // namespace

void FFTransformerOptions::describe(OptionSet<FFTransformerOptions>& o) {
  using Options = FFTransformerOptions;
  o("n_layer", &Options::n_layer, "layers");
  o("n_head", &Options::n_head, "heads of attention");
  o("d_model", &Options::d_model, "width");
  o("d_head", &Options::d_head, "width of a head");
  o("d_inner", &Options::d_inner, "channels between the two convolutions");
  o("kernel_size", &Options::kernel_size, "of both convolutions, odd", "frames");
  o("dropout", &Options::dropout, "after attention and convolutions");
  o("dropatt", &Options::dropatt, "on the attention's weights");
  o("dropemb", &Options::dropemb, "on the input");
  o("pre_lnorm", &Options::pre_lnorm, "only false: NeMo's norm before the convolutions is over time, and fails");
  o("condition_types", &Options::condition_types, "what a speaker's embedding changes: add, concat, layernorm");
}

FFTransformerLayer::FFTransformerLayer(const FFTransformerOptions& o) : options_(o) {
  const auto attention = register_module("dec_attn", std::make_shared<Sequence>());
  qkv_ = attention->add("qkv_net", torch::nn::Linear(o.d_model, 3 * o.n_head * o.d_head));
  out_ =
      attention->add("o_net", torch::nn::Linear(torch::nn::LinearOptions(o.n_head * o.d_head, o.d_model).bias(false)));
  attention_norm_ =
      attention->add("layer_norm", std::make_shared<ConditionalLayerNorm>(o.d_model, o.d_model, o.condition_types));
  const auto feed_forward = register_module("pos_ff", std::make_shared<Sequence>());
  const auto core = feed_forward->add("CoreNet", std::make_shared<Sequence>());
  const auto conv = [&](int64_t in, int64_t out) {
    return torch::nn::Conv1d(torch::nn::Conv1dOptions(in, out, o.kernel_size).padding(o.kernel_size / 2));
  };
  first_ = core->add("0", conv(o.d_model, o.d_inner));
  second_ = core->add("2", conv(o.d_inner, o.d_model));
  conv_norm_ =
      feed_forward->add("layer_norm", std::make_shared<ConditionalLayerNorm>(o.d_model, o.d_model, o.condition_types));
}

at::Tensor FFTransformerLayer::attend(const at::Tensor& x, const at::Tensor& hidden) const {
  const int64_t batch = x.size(0), time = x.size(1), heads = options_.n_head, width = options_.d_head;
  // (3, B, H, T, width)
  const at::Tensor qkv = nn::linear(x, qkv_).view({batch, time, 3, heads, width}).permute({2, 0, 3, 1, 4});
  at::Tensor scores = at::matmul(qkv[0], qkv[1].transpose(2, 3)) * (1 / std::sqrt(static_cast<double>(width)));
  scores = scores.masked_fill(hidden.unsqueeze(1), -std::numeric_limits<double>::infinity());
  const at::Tensor weights = at::dropout(at::softmax(scores, -1), options_.dropatt, is_training());
  const at::Tensor heard = at::matmul(weights, qkv[2]).transpose(1, 2).reshape({batch, time, heads * width});
  return at::dropout(nn::linear(heard, out_->weight, {}), options_.dropout, is_training());
}

at::Tensor FFTransformerLayer::forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& hidden,
                                       const at::Tensor& conditioning) {
  x = attention_norm_->forward(x + attend(x, hidden), conditioning) * mask;
  const at::Tensor inner = first_rows_(*first_, x, /*relu=*/true);
  const at::Tensor core = at::dropout(second_rows_(*second_, inner, /*relu=*/false), options_.dropout, is_training());
  return conv_norm_->forward(x + core, conditioning) * mask;
}

FFTransformerDecoder::FFTransformerDecoder(const Options& o) : options_(o) {
  check_range("n_layer", o.n_layer, 0, kMostLayers);
  check_range("n_head", o.n_head, 1, kWidest);
  check_range("d_head", o.d_head, 1, kWidest / o.n_head);
  check_range("d_model", o.d_model, 2, kWidest);
  check_range("d_inner", o.d_inner, 1, kWidest);
  check_range("kernel_size", o.kernel_size, 1, kWidestKernel);
  const auto need = [](bool good, const char* option, const std::string& seen, const char* expected) {
    if (!good) throw Error(Code::kFailed, "option is out of range").at(option).seen(seen).expected(expected);
  };
  need(o.kernel_size % 2 == 1, "kernel_size", std::to_string(o.kernel_size), "an odd number");
  need(o.d_model % 2 == 0, "d_model", std::to_string(o.d_model), "an even number: half sines, half cosines");
  need(!o.pre_lnorm, "pre_lnorm", "true", "false");
  for (const auto& [name, p] : {std::pair{"dropout", o.dropout}, {"dropatt", o.dropatt}, {"dropemb", o.dropemb}})
    need(p >= 0 && p < 1, name, std::to_string(p), "0 to below 1");
  const auto positions = register_module("pos_emb", std::make_shared<torch::nn::Module>());
  inv_freq_ = positions->register_buffer(
      "inv_freq", 1 / at::pow(10000, at::arange(0.0, static_cast<double>(o.d_model), 2.0, at::kFloat) /
                                         static_cast<double>(o.d_model)));
  torch::nn::ModuleList list = register_module("layers", torch::nn::ModuleList());
  condition_ =
      register_module("cond_input", std::make_shared<ConditionalInput>(o.d_model, o.d_model, o.condition_types));
  for (int64_t i = 0; i < o.n_layer; ++i) {
    layers_.push_back(std::make_shared<FFTransformerLayer>(o));
    list->push_back(layers_.back());
  }
}

Ports FFTransformerDecoder::inputs() const { return decoder_inputs(); }
Ports FFTransformerDecoder::outputs() const { return transformer_outputs(); }
void FFTransformerDecoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(decoder_inputs());
  schema["outputs"] = ports_json(transformer_outputs());
}

at::Tensor FFTransformerDecoder::run(const at::Tensor& x, const at::Tensor& valid, const at::Tensor& conditioning) {
  const at::Tensor mask = valid.to(x.scalar_type());
  // Moving the module replaces its own handle of the buffer.
  const at::Tensor inv_freq = named_children()["pos_emb"]->named_buffers()["inv_freq"];
  const at::Tensor phase = at::arange(x.size(1), x.options()).unsqueeze(1) * inv_freq.to(x.scalar_type()).unsqueeze(0);
  at::Tensor out = x + at::cat({phase.sin(), phase.cos()}, 1).unsqueeze(0) * mask;
  out = at::dropout(condition_->forward(out, conditioning), options_.dropemb, is_training());
  const at::Tensor hidden = valid.logical_not().transpose(1, 2);
  for (const auto& layer : layers_) out = layer->forward(out, mask, hidden, conditioning);
  return out;
}

Values FFTransformerDecoder::forward(const Values& in) {
  const at::Tensor &x = in.tensor("input"), &lengths = in.tensor("seq_lens");
  const at::Tensor valid = (at::arange(x.size(1), lengths.options()).unsqueeze(0) < lengths.unsqueeze(1)).unsqueeze(2);
  return {{"out", run(x, valid, in.tensor_or_undefined("conditioning"))}, {"mask", valid}};
}

Values FFTransformerDecoder::input_example() const {
  return {{"input", at::randn({1, 16, options_.d_model}, inv_freq_.options())},
          {"seq_lens", at::full({1}, 16, inv_freq_.options().dtype(at::kLong))}};
}

void FFTransformerEncoder::Options::describe(OptionSet<Options>& o) {
  o.include<FFTransformerOptions>();
  o.required("n_embed", &Options::n_embed, "tokens; the model fills it in").example(40);
  o("d_embed", &Options::d_embed, "width of a token's embedding; only d_model");
  o("padding_idx", &Options::padding_idx, "the token that is none; the model fills it in");
}

FFTransformerEncoder::FFTransformerEncoder(const Options& o)
    : FFTransformerDecoder(o), padding_idx_(o.padding_idx), word_emb_(nullptr) {
  check_range("n_embed", o.n_embed, 1, int64_t{1} << 24);
  check_range("padding_idx", o.padding_idx, 0, o.n_embed - 1);
  if (o.d_embed && *o.d_embed != o.d_model && *o.d_embed != 0) check_range("d_embed", *o.d_embed, o.d_model, o.d_model);
  word_emb_ = register_module(
      "word_emb", torch::nn::Embedding(torch::nn::EmbeddingOptions(o.n_embed, o.d_model).padding_idx(o.padding_idx)));
}

Ports FFTransformerEncoder::inputs() const { return encoder_inputs(); }
void FFTransformerEncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(encoder_inputs());
  schema["outputs"] = ports_json(transformer_outputs());
}
Json FFTransformerEncoder::properties() const {
  return {{"d_model", options_.d_model}, {"n_embed", word_emb_->weight.size(0)}, {"padding_idx", padding_idx_}};
}

Values FFTransformerEncoder::forward(const Values& in) {
  const at::Tensor& tokens = in.tensor("input");
  if (tokens.numel() > 0) {
    const auto least = tokens.min().item<int64_t>(), most = tokens.max().item<int64_t>();
    if (least < 0 || most >= word_emb_->weight.size(0)) {
      throw Error(Code::kBadData, "a token is none of the model's")
          .seen(std::to_string(least < 0 ? least : most))
          .expected("0 to " + std::to_string(word_emb_->weight.size(0) - 1))
          .next("is the text tokenizer the one that the model was trained with?");
    }
  }
  const at::Tensor valid = tokens.ne(padding_idx_).unsqueeze(2);
  return {{"out", run(word_emb_(tokens), valid, in.tensor_or_undefined("conditioning"))}, {"mask", valid}};
}

Values FFTransformerEncoder::input_example() const {
  return {{"input", at::full({1, 16}, padding_idx_ == 0 ? word_emb_->weight.size(0) - 1 : 0, at::kLong)}};
}

}  // namespace fathom::tts
