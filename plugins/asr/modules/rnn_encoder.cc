#include "plugins/asr/modules/rnn_encoder.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/utils/rnn.h>

#include "plugins/asr/option_range.h"

namespace fathom::asr {
namespace {

Ports rnn_inputs() { return {{"audio_signal", {"B D T", SpectrogramType{}}}, {"length", {"B", LengthsType{}}}}; }
Ports rnn_outputs() {
  return {{"outputs", {"B D T", AcousticEncodedRepresentation{}}}, {"encoded_lengths", {"B", LengthsType{}}}};
}

void check_rnn_options(const RNNEncoder::Options& o) {
  constexpr int64_t kMostLayers = 1000, kLargest = 1 << 20;
  check_range("feat_in", o.feat_in, 1, kLargest);
  check_range("n_layers", o.n_layers, 1, kMostLayers);
  check_range("d_model", o.d_model, 2, kLargest);
  check_range("subsampling_factor", o.subsampling_factor, 1, 1024);
  const auto refuse = [](const char* option, const std::string& seen, const std::string& what,
                         const std::string& expected) {
    throw Error(Code::kFailed, what).at(option).seen(seen).expected(expected);
  };
  if (o.rnn_type == "gru" || o.rnn_type == "rnn")
    refuse("rnn_type", o.rnn_type, "this kind of layer, with which NeMo 3.0 fails too, is not supported", "lstm");
  if (o.rnn_type != "lstm") refuse("rnn_type", o.rnn_type, "unknown rnn_type", "lstm");
  const int64_t ways = o.bidirectional ? 2 : 1;
  if (o.proj_size < 1 || o.proj_size % ways != 0 || o.proj_size / ways >= o.d_model) {
    refuse("proj_size", std::to_string(o.proj_size), "an LSTM's projection must be narrower than its state",
           o.bidirectional ? "an even number below 2 d_model = " + std::to_string(2 * o.d_model)
                           : "1 to d_model - 1 = " + std::to_string(o.d_model - 1));
  }
  if (!(o.dropout >= 0 && o.dropout < 1))
    refuse("dropout", json_text(Json(o.dropout)), "'dropout' is no probability of a dropout", "from 0 on, below 1");
}

// oneDNN has no LSTMs with projections, of which libtorch warns at each program's first; there is nothing to be done.
class NoWarnings final : public c10::WarningHandler {
 public:
  void process(const c10::Warning&) override {}
};

// Has a place in the list of layers, and nothing else.
class NumberedDropout final : public torch::nn::Module {};

}  // namespace

void RNNEncoder::Options::describe(OptionSet<Options>& o) {
  o.required("feat_in", &Options::feat_in, "features of the input").example(80);
  o.required("n_layers", &Options::n_layers, "layers").example(2);
  o.required("d_model", &Options::d_model, "width of an LSTM's state").example(64);
  o.required("proj_size", &Options::proj_size, "width of a layer's output, of both directions together").example(32);
  o("rnn_type", &Options::rnn_type, "lstm");
  o("bidirectional", &Options::bidirectional, "a layer reads its input from both ends");
  o("subsampling", &Options::subsampling, "striding, dw_striding, stacking, stacking_norm or null");
  o("subsampling_factor", &Options::subsampling_factor, "frames in per frame out: a power of 2");
  o("subsampling_conv_channels", &Options::subsampling_conv_channels, "of its convolutions; -1: proj_size");
  o("dropout", &Options::dropout, "between layers, in training");
}

RNNEncoder::RNNEncoder(const Options& options) : options_(options) {
  check_rnn_options(options_);
  const Options& o = options_;
  make_pre_encode();
  torch::nn::ModuleList layers;
  for (int64_t i = 0; i < o.n_layers; ++i) {
    lstms_.emplace_back(torch::nn::LSTMOptions(o.proj_size, o.d_model)
                            .batch_first(true)
                            .bidirectional(o.bidirectional)
                            .proj_size(o.bidirectional ? o.proj_size / 2 : o.proj_size));
    norms_.emplace_back(torch::nn::LayerNormOptions({o.proj_size}));
    layers->push_back(lstms_.back());
    layers->push_back(norms_.back());
    layers->push_back(std::make_shared<NumberedDropout>());
  }
  register_module("layers", layers);
}

void RNNEncoder::make_pre_encode() {
  const Options& o = options_;
  const std::string kind = o.subsampling.value_or("");
  if (kind.empty() || o.subsampling_factor == 1) {
    projection_ = register_module("pre_encode", torch::nn::Linear(o.feat_in, o.proj_size));
    return;
  }
  if (kind == "stacking" || kind == "stacking_norm") {
    subsampling_ =
        std::make_shared<StackingSubsampling>(o.subsampling_factor, o.feat_in, o.proj_size, kind != "stacking");
  } else {
    ConvSubsamplingOptions conv;
    conv.kind = kind;
    conv.factor = o.subsampling_factor;
    conv.feat_in = o.feat_in;
    conv.feat_out = o.proj_size;
    conv.channels = o.subsampling_conv_channels == -1 ? o.proj_size : o.subsampling_conv_channels;
    subsampling_ = std::make_shared<ConvSubsampling>(conv);
  }
  register_module("pre_encode", subsampling_);
}

Ports RNNEncoder::inputs() const { return rnn_inputs(); }
Ports RNNEncoder::outputs() const { return rnn_outputs(); }
void RNNEncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(rnn_inputs());
  schema["outputs"] = ports_json(rnn_outputs());
}

Values RNNEncoder::forward(const Values& in) {
  const at::Tensor& signal = in.tensor("audio_signal");
  if (signal.size(1) != options_.feat_in) {
    throw Error(Code::kFailed, "the encoder got another number of features than it was built for")
        .seen(c10::str(signal.sizes()))
        .expected("(batch, feat_in = " + std::to_string(options_.feat_in) + ", frames)")
        .next("make encoder.feat_in equal to preprocessor.features");
  }
  if (signal.size(2) == 0) throw Error(Code::kFailed, "the encoder got no frames at all");
  Frames frames{signal.transpose(1, 2), in.tensor("length").to(at::kLong)};
  if (subsampling_)
    frames = subsampling_->forward(frames);
  else
    frames.x = projection_(frames.x);
  const int64_t width = frames.x.size(1);
  // A forward LSTM never sees what follows; a backward one must begin at the item's end.
  at::Tensor packed_lengths;
  if (options_.bidirectional && !nn::LengthMask(frames.lengths).covers(width))
    packed_lengths = frames.lengths.to(at::kCPU).clamp(1, width);
  NoWarnings none;
  const c10::WarningUtils::WarningHandlerGuard guard(&none);
  for (size_t i = 0; i < lstms_.size(); ++i) {
    if (packed_lengths.defined()) {
      namespace rnn = torch::nn::utils::rnn;
      const auto packed = rnn::pack_padded_sequence(frames.x, packed_lengths, true, /*enforce_sorted=*/false);
      const auto out = std::get<0>(lstms_[i]->forward_with_packed_input(packed));
      frames.x = std::get<0>(rnn::pad_packed_sequence(out, true, 0.0, width));
    } else {
      frames.x = std::get<0>(lstms_[i](frames.x));
    }
    frames.x = norms_[i](frames.x);
    if (is_training() && options_.dropout > 0) frames.x = at::dropout(frames.x, options_.dropout, true);
  }
  return {{"outputs", frames.x.transpose(1, 2)}, {"encoded_lengths", frames.lengths}};
}

Json RNNEncoder::properties() const {
  return {{"feat_in", options_.feat_in},
          {"feat_out", options_.proj_size},
          {"subsampling_factor", subsampling_ ? options_.subsampling_factor : 1}};
}

Values RNNEncoder::input_example() const {
  const auto options = parameters().front().options().requires_grad(false);
  return {{"audio_signal", at::randn({1, options_.feat_in, 256}, options.dtype(at::kFloat)).to(options.dtype())},
          {"length", at::full({1}, 256, options.dtype(at::kLong))}};
}

}  // namespace fathom::asr
