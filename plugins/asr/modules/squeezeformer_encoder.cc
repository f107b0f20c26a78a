#include "plugins/asr/modules/squeezeformer_encoder.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>

#include "plugins/asr/option_range.h"
#include "plugins/lib/nn/linear.h"

namespace fathom::asr {
namespace {

constexpr int64_t kReductionKernel = 5, kReductionStride = 2;

Ports squeezeformer_inputs() {
  return {{"audio_signal", {"B D T", SpectrogramType{}}}, {"length", {"B", LengthsType{}}}};
}
Ports squeezeformer_outputs() {
  return {{"outputs", {"B D T", AcousticEncodedRepresentation{}}}, {"encoded_lengths", {"B", LengthsType{}}}};
}

void check_squeezeformer(const SqueezeformerEncoder::Options& o) {
  constexpr int64_t kMostLayers = 1000, kLargest = 1 << 20;
  check_range("feat_in", o.feat_in, 1, kLargest);
  check_range("n_layers", o.n_layers, 1, kMostLayers);
  check_range("d_model", o.d_model, 1, kLargest);
  check_range("n_heads", o.n_heads, 1, kLargest);
  check_range("ff_expansion_factor", o.ff_expansion_factor, 1, 1024);
  check_range("conv_kernel_size", o.conv_kernel_size, 1, kLargest);
  check_range("pos_emb_max_len", o.pos_emb_max_len, 1, int64_t{1} << 30);
  check_range("subsampling_factor", o.subsampling_factor, 1, 1024);
  if (o.feat_out > 0) check_range("feat_out", o.feat_out, 1, kLargest);
  for (const auto& [name, value] :
       {std::pair{"dropout", o.dropout}, {"dropout_emb", o.dropout_emb}, {"dropout_att", o.dropout_att}}) {
    if (value >= 0 && value < 1) continue;
    throw Error(Code::kFailed, std::string("'") + name + "' is no probability of a dropout")
        .at(name)
        .seen(json_text(Json(value)))
        .expected("from 0 on, below 1");
  }
  if (o.time_recovery_idx && !o.time_reduce_idx) {
    throw Error(Code::kFailed, "without time_reduce_idx there is nothing to recover from")
        .at("time_recovery_idx")
        .seen(std::to_string(*o.time_recovery_idx))
        .expected("null, or time_reduce_idx as well");
  }
  if (!o.time_reduce_idx) return;
  const int64_t recovery = o.time_recovery_idx.value_or(o.n_layers - 1);
  if (*o.time_reduce_idx < 0 || *o.time_reduce_idx >= recovery || recovery >= o.n_layers) {
    throw Error(Code::kFailed, "frames are halved before a layer and recovered before a later one")
        .at("time_reduce_idx")
        .seen(std::to_string(*o.time_reduce_idx) + ", time_recovery_idx " + std::to_string(recovery))
        .expected("0 <= time_reduce_idx < time_recovery_idx < n_layers = " + std::to_string(o.n_layers));
  }
}

}  // namespace

void SqueezeformerEncoder::Options::describe(OptionSet<Options>& o) {
  o.required("feat_in", &Options::feat_in, "features per frame").example(80);
  o.required("n_layers", &Options::n_layers, "layers").example(4);
  o.required("d_model", &Options::d_model, "width of the layers").example(32);
  o("feat_out", &Options::feat_out, "channels of the output, by a last linear layer; not positive: d_model");
  o("subsampling", &Options::subsampling, "striding, dw_striding, stacking, stacking_norm, or null: a linear layer");
  o("subsampling_factor", &Options::subsampling_factor, "frames in per frame out; a power of 2 for convolutions");
  o("subsampling_conv_channels", &Options::subsampling_conv_channels, "channels of the subsampling; -1: d_model");
  o("subsampling_conv_masking", &Options::subsampling_conv_masking,
    "clear what lies beyond an item's length before every convolution; NeMo's own weights saw it");
  o("ff_expansion_factor", &Options::ff_expansion_factor, "width of the feed-forward layers over d_model");
  o("self_attention_model", &Options::self_attention_model, "rel_pos or abs_pos");
  o("n_heads", &Options::n_heads, "heads of the attention; they divide d_model");
  o("att_context_size", &Options::att_context_size, "[left, right] frames that attention sees, -1 for all", "frames");
  o("xscaling", &Options::xscaling, "multiply the input of the layers by the square root of d_model");
  o("untie_biases", &Options::untie_biases, "every layer has biases u and v of its own");
  o("pos_emb_max_len", &Options::pos_emb_max_len, "positions prepared ahead; longer inputs extend them", "frames");
  o("conv_kernel_size", &Options::conv_kernel_size, "kernel of the layers' convolutions, odd", "frames");
  o("conv_norm_type", &Options::conv_norm_type, "batch_norm or layer_norm");
  o("dropout", &Options::dropout, "dropout probability in and after each part of a layer");
  o("dropout_emb", &Options::dropout_emb, "of the positions");
  o("dropout_att", &Options::dropout_att, "of the attention's weights");
  o("adaptive_scale", &Options::adaptive_scale, "the scales and shifts before each part of a layer are learnt");
  o("time_reduce_idx", &Options::time_reduce_idx, "the layer from which on there are half as many frames; null: none");
  o("time_recovery_idx", &Options::time_recovery_idx, "the layer from which on there are all again; null: the last");
}

TimeReduction::TimeReduction(int64_t width) {
  nn::ConvOptions depthwise;
  depthwise.in_channels = depthwise.out_channels = depthwise.groups = width;
  depthwise.kernel = kReductionKernel;
  depthwise.stride = kReductionStride;
  depthwise.pad_left = depthwise.pad_right = kReductionKernel - kReductionStride;
  depthwise.bias = true;
  dw_conv_ = register_module("dw_conv", std::make_shared<nn::Conv1dLayer>(depthwise));
  nn::ConvOptions pointwise;
  pointwise.in_channels = pointwise.out_channels = width;
  pointwise.bias = true;
  pw_conv_ = register_module("pw_conv", std::make_shared<nn::Conv1dLayer>(pointwise));
}

at::Tensor TimeReduction::forward(const at::Tensor& x, const nn::LengthMaskPtr& lengths) {
  const int64_t frames = (x.size(1) + kReductionStride - 1) / kReductionStride;
  // The padding gives a frame too many.
  const at::Tensor reduced = dw_conv_->forward(x.transpose(1, 2), lengths).slice(2, 0, frames);
  return nn::linear(reduced.transpose(1, 2), pw_conv_->weight.squeeze(-1), pw_conv_->bias);
}

SqueezeformerEncoder::SqueezeformerEncoder(const Options& options) : AccessMixin(this), options_(options) {
  check_squeezeformer(options_);
  const Options& o = options_;
  self_attention_ = parse_self_attention(o.self_attention_model);
  if (self_attention_ == SelfAttention::kLocal) {
    throw Error(Code::kFailed, "a Squeezeformer has no local attention")
        .at("self_attention_model")
        .seen(o.self_attention_model)
        .expected("rel_pos or abs_pos");
  }
  context_ = parse_attention_contexts(o.att_context_size, nullptr, "regular").all.front();
  make_pre_encode();
  make_layers();
  if (o.time_reduce_idx) {
    reduce_at_ = *o.time_reduce_idx;
    recover_at_ = o.time_recovery_idx.value_or(o.n_layers - 1);
    time_reduce_layer_ = register_module("time_reduce_layer", std::make_shared<TimeReduction>(o.d_model));
    time_recovery_layer_ = register_module("time_recovery_layer", torch::nn::Linear(o.d_model, o.d_model));
  }
  pre_ln_ = register_module("pre_ln", torch::nn::LayerNorm(torch::nn::LayerNormOptions({o.d_model})));
  if (o.feat_out > 0 && o.feat_out != o.d_model)
    out_proj_ = register_module("out_proj", torch::nn::Linear(o.d_model, o.feat_out));
}

void SqueezeformerEncoder::make_pre_encode() {
  const Options& o = options_;
  const std::string kind = o.subsampling.value_or("");
  if (kind.empty() || o.subsampling_factor == 1) {
    projection_ = register_module("pre_encode", torch::nn::Linear(o.feat_in, o.d_model));
    return;
  }
  if (kind == "stacking" || kind == "stacking_norm") {
    subsampling_ =
        std::make_shared<StackingSubsampling>(o.subsampling_factor, o.feat_in, o.d_model, kind != "stacking");
  } else {
    ConvSubsamplingOptions conv;
    conv.kind = kind;
    conv.factor = o.subsampling_factor;
    conv.feat_in = o.feat_in;
    conv.feat_out = o.d_model;
    conv.channels = o.subsampling_conv_channels == -1 ? o.d_model : o.subsampling_conv_channels;
    conv.mask_inside = o.subsampling_conv_masking;
    subsampling_ = std::make_shared<ConvSubsampling>(conv);
  }
  register_module("pre_encode", subsampling_);
}

void SqueezeformerEncoder::make_layers() {
  const Options& o = options_;
  SqueezeformerLayerOptions layer;
  layer.width = o.d_model;
  layer.feed_forward = o.d_model * o.ff_expansion_factor;
  layer.self_attention = self_attention_;
  layer.attention = {o.d_model, o.n_heads, o.dropout_att};
  layer.conv_kernel = o.conv_kernel_size;
  layer.conv_norm = o.conv_norm_type;
  layer.dropout = o.dropout;
  layer.adaptive_scale = o.adaptive_scale;
  const bool relative = self_attention_ == SelfAttention::kRelative;
  if (!o.untie_biases && relative && o.d_model % o.n_heads == 0) {
    layer.pos_bias_u = at::zeros({o.n_heads, o.d_model / o.n_heads}).requires_grad_();
    layer.pos_bias_v = at::zeros({o.n_heads, o.d_model / o.n_heads}).requires_grad_();
  }
  torch::nn::ModuleList layers;
  for (int64_t i = 0; i < o.n_layers; ++i) {
    layers_.push_back(std::make_shared<SqueezeformerLayer>(layer));
    layers->push_back(layers_.back());
  }
  register_module("layers", layers);
  positions_.emplace(relative ? nn::PositionTable::Kind::kRelative : nn::PositionTable::Kind::kAbsolute, o.d_model,
                     o.pos_emb_max_len);
}

Ports SqueezeformerEncoder::inputs() const { return squeezeformer_inputs(); }
Ports SqueezeformerEncoder::outputs() const { return squeezeformer_outputs(); }
void SqueezeformerEncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(squeezeformer_inputs());
  schema["outputs"] = ports_json(squeezeformer_outputs());
}

at::Tensor SqueezeformerEncoder::positions_of(int64_t frames, const at::TensorOptions& options) {
  const at::Tensor positions = positions_->rows(frames, options);
  const bool dropped = is_training() && options_.dropout_emb > 0 && self_attention_ == SelfAttention::kRelative;
  return dropped ? at::dropout(positions, options_.dropout_emb, true) : positions;
}

Values SqueezeformerEncoder::forward(const Values& in) {
  const Options& o = options_;
  const at::Tensor& signal = in.tensor("audio_signal");
  if (signal.size(1) != o.feat_in) {
    throw Error(Code::kFailed, "the encoder got another number of features than it was built for")
        .seen(c10::str(signal.sizes()))
        .expected("(batch, feat_in = " + std::to_string(o.feat_in) + ", frames)")
        .next("make encoder.feat_in equal to preprocessor.features");
  }
  if (signal.size(2) == 0) throw Error(Code::kFailed, "the encoder got no frames at all");
  Frames frames{signal.transpose(1, 2), in.tensor("length").to(at::kLong)};
  if (subsampling_)
    frames = subsampling_->forward(frames);
  else
    frames.x = projection_(frames.x);

  // `step`: one frame of the layers is so many of the encoder.
  const auto input_of = [&](const at::Tensor& x, int64_t step) {
    ConformerLayer::Input layer;
    const int64_t total = x.size(1);
    layer.lengths = std::make_shared<nn::LengthMask>(step == 1 ? frames.lengths
                                                               : at::div(frames.lengths + step - 1, step, "floor"));
    at::Tensor visible = nn::visible_keys(context_, total * step, x.options());
    if (visible.defined() && step > 1)
      visible = visible.slice(0, 0, total * step, step).slice(1, 0, total * step, step);
    const at::Tensor valid = layer.lengths->covers(total) ? at::Tensor() : layer.lengths->valid(total).squeeze(1);
    layer.mask = nn::make_attention_mask(visible, valid, x.options());
    layer.positions = positions_of(total, x.options());
    return layer;
  };
  at::Tensor x = frames.x;
  if (o.xscaling) x = x * std::sqrt(static_cast<double>(o.d_model));
  ConformerLayer::Input layer_in = input_of(x, 1);
  if (self_attention_ == SelfAttention::kAbsolute) x = x + layer_in.positions;
  if (is_training() && o.dropout > 0) x = at::dropout(x, o.dropout, true);
  x = pre_ln_(x);

  at::Tensor before;  // the reduction
  ConformerLayer::Input input_before;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (reduce_at_ == static_cast<int64_t>(i)) {
      before = x;
      input_before = layer_in;
      x = time_reduce_layer_->forward(x, layer_in.lengths);
      layer_in = input_of(x, kReductionStride);
    }
    if (recover_at_ == static_cast<int64_t>(i)) {
      x = before + time_recovery_layer_(x.repeat_interleave(kReductionStride, 1).slice(1, 0, before.size(1)));
      layer_in = input_before;
    }
    x = layers_[i]->forward(x, layer_in);
  }
  if (out_proj_) x = out_proj_(x);
  return {{"outputs", x.transpose(1, 2)}, {"encoded_lengths", frames.lengths}};
}

void SqueezeformerEncoder::add_adapter(const std::string& name, const Json& config) {
  Json section = config;
  section["in_features"] = options_.d_model;
  for (const auto& layer : layers_) layer->add_adapter(name, section);
}
bool SqueezeformerEncoder::is_adapter_available() const { return layers_.front()->is_adapter_available(); }
void SqueezeformerEncoder::set_enabled_adapters(const std::optional<std::string>& name, bool enabled) {
  for (const auto& layer : layers_) layer->set_enabled_adapters(name, enabled);
}
std::vector<std::string> SqueezeformerEncoder::get_enabled_adapters() const {
  return layers_.front()->get_enabled_adapters();
}
std::vector<std::string> SqueezeformerEncoder::get_adapters() const { return layers_.front()->get_adapters(); }
void SqueezeformerEncoder::unfreeze_enabled_adapters() {
  for (const auto& layer : layers_) layer->unfreeze_enabled_adapters();
}

Json SqueezeformerEncoder::properties() const {
  const Options& o = options_;
  return {{"feat_in", o.feat_in},
          {"feat_out", out_proj_ ? o.feat_out : o.d_model},
          {"subsampling_factor", subsampling_ ? o.subsampling_factor : 1},
          {"d_model", o.d_model},
          {"n_layers", o.n_layers}};
}

Values SqueezeformerEncoder::input_example() const {
  const auto options = parameters().front().options().requires_grad(false);
  return {{"audio_signal", at::randn({1, options_.feat_in, 256}, options.dtype(at::kFloat)).to(options.dtype())},
          {"length", at::full({1}, 256, options.dtype(at::kLong))}};
}

}  // namespace fathom::asr
