#include "plugins/asr/modules/conformer_encoder.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include <algorithm>
#include <cmath>

#include "plugins/asr/option_range.h"
#include "plugins/lib/nn/linear.h"

namespace fathom::asr {
namespace {

using Style = nn::AttentionContext::Style;

constexpr int64_t kMostLayers = 1000, kLargestSize = 1 << 20;
// Of local attention, whose every block is padded by its window: five minutes of 40 ms.
constexpr int64_t kWidestWindow = 1 << 13;

void check_size(const char* option, int64_t value, int64_t most = kLargestSize) { check_range(option, value, 1, most); }

void check_probability(const char* option, double value) {
  if (value >= 0 && value < 1) return;
  throw Error(Code::kFailed, std::string("'") + option + "' is no probability of a dropout")
      .at(option)
      .seen(json_text(Json(value)))
      .expected("from 0 on, below 1");
}

[[noreturn]] void refuse_option(const char* option, const std::string& seen, const std::string& what,
                                const std::string& expected) {
  throw Error(Code::kFailed, what).at(option).seen(seen).expected(expected);
}

void check_options(const ConformerEncoder::Options& o) {
  check_size("feat_in", o.feat_in);
  check_size("n_layers", o.n_layers, kMostLayers);
  check_size("d_model", o.d_model);
  check_size("n_heads", o.n_heads);
  check_size("ff_expansion_factor", o.ff_expansion_factor, 1024);
  check_size("conv_kernel_size", o.conv_kernel_size);
  check_size("pos_emb_max_len", o.pos_emb_max_len, int64_t{1} << 30);
  check_size("subsampling_factor", o.subsampling_factor, 1024);
  check_size("reduction_factor", o.reduction_factor, 1024);
  check_size("global_tokens_spacing", o.global_tokens_spacing);
  if (o.global_tokens < 0 || o.global_tokens > kLargestSize)
    refuse_option("global_tokens", std::to_string(o.global_tokens), "a number of frames is out of range", "0 or more");
  if (o.feat_out > kLargestSize) check_size("feat_out", o.feat_out);
  check_probability("dropout", o.dropout);
  check_probability("dropout_pre_encoder", o.dropout_pre_encoder);
  check_probability("dropout_emb", o.dropout_emb);
  check_probability("dropout_att", o.dropout_att);
  const int64_t parts = o.subsampling_conv_chunking_factor;
  if (parts != -1 && parts != 1 && (parts < 1 || parts % 2 != 0)) {
    refuse_option("subsampling_conv_chunking_factor", std::to_string(parts), "is no number of parts",
                  "-1, 1 or a power of 2");
  }
  if (o.use_pytorch_sdpa_backends && !o.use_pytorch_sdpa_backends->empty()) {
    refuse_option("use_pytorch_sdpa_backends", o.use_pytorch_sdpa_backends->front(),
                  "the kernels of the fused attention cannot be chosen: libtorch takes the best for the shapes at hand",
                  "null or an empty list");
  }
  const bool unified = o.att_context_style == "chunked_limited_with_rc";
  if (!o.att_chunk_context_size.is_null() && !unified) {
    refuse_option("att_chunk_context_size", json_text(o.att_chunk_context_size),
                  "is for att_context_style "
                  "chunked_limited_with_rc only",
                  "null");
  }
  if (o.conv_context_style != "regular" && !(o.conv_context_style == "dcc" && unified)) {
    refuse_option("conv_context_style", o.conv_context_style, "unknown conv_context_style",
                  "regular, or dcc with att_context_style chunked_limited_with_rc");
  }
}

}  // namespace

std::vector<double> stochastic_depth(int64_t layers, double probability, const std::string& mode, int64_t start) {
  check_probability("stochastic_depth_drop_prob", probability);
  if (mode != "linear" && mode != "uniform")
    refuse_option("stochastic_depth_mode", mode, "unknown stochastic_depth_mode", "linear or uniform");
  if (start < 1)
    refuse_option("stochastic_depth_start_layer", std::to_string(start), "the first layer always runs", ">= 1");
  std::vector<double> out(static_cast<size_t>(layers), 0.0);
  for (int64_t i = start; i < layers; ++i) {
    const double share =
        mode == "uniform" ? 1 : static_cast<double>(i - start + 1) / static_cast<double>(layers - start);
    out[static_cast<size_t>(i)] = share * probability;
  }
  return out;
}

ConformerEncoder::ConformerEncoder(const Options& options) : AccessMixin(this), options_(options) {
  check_options(options_);
  const Options& o = options_;
  self_attention_ = parse_self_attention(o.self_attention_model);
  contexts_ = parse_attention_contexts(o.att_context_size, o.att_context_probs, o.att_context_style);
  context_ = contexts_.all.front();
  conv_context_ = parse_conv_context(o.conv_context_size, o.conv_kernel_size);
  drop_probabilities_ = stochastic_depth(o.n_layers, o.stochastic_depth_drop_prob, o.stochastic_depth_mode,
                                         o.stochastic_depth_start_layer);
  make_pre_encode();
  make_layers();
  if (o.feat_out > 0 && o.feat_out != o.d_model)
    out_proj_ = register_module("out_proj", torch::nn::Linear(o.d_model, o.feat_out));
  set_default_context(context_);
}

void ConformerEncoder::make_pre_encode() {
  const Options& o = options_;
  const std::string kind = o.subsampling.value_or("");
  if (kind.empty() || o.subsampling_factor == 1) {
    projection_ = register_module("pre_encode", torch::nn::Linear(o.feat_in, o.d_model));
  } else if (kind == "stacking" || kind == "stacking_norm") {
    subsampling_ =
        std::make_shared<StackingSubsampling>(o.subsampling_factor, o.feat_in, o.d_model, kind != "stacking");
  } else {
    ConvSubsamplingOptions conv;
    conv.kind = kind;
    conv.factor = o.subsampling_factor;
    conv.feat_in = o.feat_in;
    conv.feat_out = o.d_model;
    conv.channels = o.subsampling_conv_channels == -1 ? o.d_model : o.subsampling_conv_channels;
    conv.causal = o.causal_downsampling;
    conv.chunking = o.subsampling_conv_chunking_factor;
    conv.mask_inside = o.subsampling_conv_masking;
    subsampling_ = std::make_shared<ConvSubsampling>(conv);
  }
  if (subsampling_) register_module("pre_encode", subsampling_);

  if (!o.reduction || o.reduction->empty() || o.reduction_factor == 1) return;
  if (!o.reduction_position || *o.reduction_position < -1 || *o.reduction_position >= o.n_layers) {
    refuse_option("reduction_position", o.reduction_position ? std::to_string(*o.reduction_position) : "null",
                  "a reduction needs its layer", "-1 to n_layers - 1");
  }
  reduction_ = std::make_shared<SubsamplingReduction>(*o.reduction, o.d_model, o.reduction_factor);
  register_module("reduction_subsampling", reduction_);
}

void ConformerEncoder::make_layers() {
  const Options& o = options_;
  if (self_attention_ == SelfAttention::kLocal &&
      (context_.left < 0 || context_.right < 0 || context_.left + context_.right == 0)) {
    refuse_option("att_context_size", json_text(o.att_context_size), "local attention needs a window",
                  "[left, right] from 0 on, not both 0");
  }
  if (self_attention_ == SelfAttention::kLocal) {
    check_range("att_context_size", std::max(context_.left, context_.right), 1, kWidestWindow);
  }
  if (self_attention_ == SelfAttention::kLocal && o.use_pytorch_sdpa)
    refuse_option("use_pytorch_sdpa", "true", "local attention has no fused form", "false");
  ConformerLayerOptions layer;
  layer.width = o.d_model;
  layer.feed_forward = o.d_model * o.ff_expansion_factor;
  layer.self_attention = self_attention_;
  layer.attention = {o.d_model, o.n_heads, o.dropout_att, o.use_bias, o.use_pytorch_sdpa};
  layer.window = {context_.left, context_.right, o.global_tokens, o.global_tokens_spacing, o.global_attn_separate};
  layer.conv_kernel = o.conv_kernel_size;
  std::tie(layer.conv_left, layer.conv_right) = conv_context_;
  layer.conv_norm = o.conv_norm_type;
  layer.dropout = o.dropout;
  layer.bias = o.use_bias;
  if (!o.untie_biases && self_attention_ == SelfAttention::kRelative && o.d_model % o.n_heads == 0) {
    layer.pos_bias_u = at::zeros({o.n_heads, o.d_model / o.n_heads}).requires_grad_();
    layer.pos_bias_v = at::zeros({o.n_heads, o.d_model / o.n_heads}).requires_grad_();
  }
  torch::nn::ModuleList layers;
  for (int64_t i = 0; i < o.n_layers; ++i) {
    layers_.push_back(std::make_shared<ConformerLayer>(layer));
    layers->push_back(layers_.back());
  }
  register_module("layers", layers);
  if (self_attention_ != SelfAttention::kLocal) {
    positions_.emplace(self_attention_ == SelfAttention::kRelative ? nn::PositionTable::Kind::kRelative
                                                                   : nn::PositionTable::Kind::kAbsolute,
                       o.d_model, o.pos_emb_max_len);
  }
}

Subsampling::Streaming ConformerEncoder::frames_of_streaming() const {
  return subsampling_ ? subsampling_->streaming() : Subsampling::Streaming{1, 1, 0, false};
}

void ConformerEncoder::set_default_context(const nn::AttentionContext& context) {
  if (self_attention_ == SelfAttention::kLocal && (context.left != context_.left || context.right != context_.right))
    throw Error(Code::kFailed, "the window of a local attention is fixed when it is made").at("att_context_size");
  context_ = context;
  streaming_.reset();
  if (context.right >= 0 && self_attention_ == SelfAttention::kRelative && !reduction_) setup_streaming({});
}

void ConformerEncoder::setup_streaming(const StreamingRequest& request) {
  streaming_ = make_streaming_config(context_, options_.n_layers, conv_context_.second,
                                     subsampling_ ? options_.subsampling_factor : 1, frames_of_streaming(), request);
}

const nn::AttentionContext& ConformerEncoder::context_now() const {
  if (!is_training() || contexts_.all.size() == 1) return context_;
  double draw = at::rand({1}, at::kDouble).item<double>();
  for (size_t i = 0; i + 1 < contexts_.all.size(); ++i) {
    draw -= contexts_.probabilities[i];
    if (draw < 0) return contexts_.all[i];
  }
  return contexts_.all.back();
}

Frames ConformerEncoder::pre_encode(const Values& in, bool cached) {
  const at::Tensor& signal = in.tensor("audio_signal");
  Frames frames{signal, in.tensor("length").to(at::kLong)};
  const Value* bypass = in.find("bypass_pre_encode");
  const bool encoded = bypass != nullptr && !bypass->is_none() && bypass->boolean();
  if (signal.size(encoded ? 2 : 1) != (encoded ? options_.d_model : options_.feat_in)) {
    throw Error(Code::kFailed, "the encoder got another number of features than it was built for")
        .seen(c10::str(signal.sizes()))
        .expected(encoded ? "(batch, frames, d_model = " + std::to_string(options_.d_model) + ")"
                          : "(batch, feat_in = " + std::to_string(options_.feat_in) + ", frames)")
        .next("make encoder.feat_in equal to preprocessor.features");
  }
  if (signal.size(encoded ? 1 : 2) == 0) throw Error(Code::kFailed, "the encoder got no frames at all");
  if (encoded) return frames;
  frames.x = signal.transpose(1, 2);
  if (!subsampling_) return {nn::linear(frames.x, projection_), frames.lengths};
  frames = subsampling_->forward(frames);
  const Value* drop = in.find("drop_extra_pre_encoded");
  const int64_t extra = !cached                               ? 0
                        : drop != nullptr && !drop->is_none() ? drop->integer()
                                                              : streaming_->drop_extra_pre_encoded;
  if (extra < 0 || extra >= frames.x.size(1)) {
    throw Error(Code::kFailed, "nothing is left of a chunk without the frames that came of the chunk before")
        .seen(std::to_string(frames.x.size(1)) + " frames, drop_extra_pre_encoded " + std::to_string(extra))
        .next("begin every chunk but the first with pre_encode_cache_size input frames, or zeros in their place");
  }
  if (extra > 0) frames = {frames.x.slice(1, extra), (frames.lengths - extra).clamp_min(0)};
  return frames;
}

at::Tensor ConformerEncoder::positions_of(int64_t frames) {
  const at::TensorOptions options = layers_.front()->parameters().front().options().requires_grad(false);
  const int64_t left = context_.left, right = context_.right;
  at::Tensor positions = self_attention_ == SelfAttention::kLocal
                             ? nn::sinusoids(left, -1, left + right + 1, options_.d_model).unsqueeze(0).to(options)
                             : positions_->rows(frames, options);
  // Of absolute positions none is dropped.
  if (!is_training() || options_.dropout_emb == 0 || self_attention_ == SelfAttention::kAbsolute) return positions;
  return at::dropout(positions, options_.dropout_emb, true);
}

void ConformerEncoder::hand_out(size_t layer, const Frames& frames) {
  if (!is_access_enabled(model_guid())) return;
  const Json settings = access_config(model_guid());
  const Json wanted = settings.contains("interctc") && settings["interctc"].is_object()
                          ? settings["interctc"].value("capture_layers", Json::array())
                          : Json::array();
  for (const auto& item : wanted) {
    if (item != Json(layer)) continue;
    const std::string number = std::to_string(layer);
    register_accessible_tensor("interctc/layer_output_" + number,
                               (out_proj_ ? nn::linear(frames.x, out_proj_) : frames.x).transpose(1, 2));
    register_accessible_tensor("interctc/layer_length_" + number, frames.lengths);
  }
}

void ConformerEncoder::check_caches(const at::Tensor& channel, const at::Tensor& time, const at::Tensor& remembered,
                                    int64_t batch) const {
  const Options& o = options_;
  if (!channel.defined() || !time.defined() || !remembered.defined())
    throw Error(Code::kFailed, "a stream needs cache_last_channel, cache_last_time and cache_last_channel_len");
  if (!streaming_ || self_attention_ != SelfAttention::kRelative || reduction_) {
    throw Error(Code::kFailed, "this encoder cannot run on a stream")
        .seen(o.self_attention_model + (reduction_ ? ", with a reduction" : "") +
              (context_.right < 0 ? ", unlimited look-ahead" : ""))
        .expected("self_attention_model rel_pos, a limited att_context_size and no reduction");
  }
  const at::IntArrayRef wide = channel.sizes(), long_ago = time.sizes();
  if (wide.size() != 4 || wide[0] != o.n_layers || wide[1] != batch || wide[3] != o.d_model || long_ago.size() != 4 ||
      long_ago[0] != o.n_layers || long_ago[1] != batch || long_ago[2] != o.d_model ||
      long_ago[3] != conv_context_.first || remembered.dim() != 1 || remembered.size(0) != batch) {
    throw Error(Code::kFailed, "the caches of a stream do not fit the encoder")
        .seen("cache_last_channel " + c10::str(wide) + ", cache_last_time " + c10::str(long_ago) +
              ", cache_last_channel_len " + c10::str(remembered.sizes()))
        .expected("(n_layers, B, C, d_model), (n_layers, B, d_model, " + std::to_string(conv_context_.first) +
                  ") and (B)");
  }
}

Values ConformerEncoder::forward(const Values& in) {
  const Options& o = options_;
  const at::Tensor channel = in.tensor_or_undefined("cache_last_channel");
  const at::Tensor time = in.tensor_or_undefined("cache_last_time");
  const at::Tensor remembered = in.tensor_or_undefined("cache_last_channel_len");
  const bool cached = channel.defined();
  if (is_training() && !o.att_chunk_context_size.is_null()) {
    refuse_option("att_chunk_context_size", json_text(o.att_chunk_context_size),
                  "an encoder of unified training (chunked_limited_with_rc) can be used, not trained", "null");
  }
  if (cached || time.defined() || remembered.defined())
    check_caches(channel, time, remembered, in.tensor("audio_signal").size(0));

  const nn::AttentionContext context = context_now();
  Frames frames = pre_encode(in, cached);
  const int64_t cache_frames = cached ? channel.size(2) : 0, drop = cached ? streaming_->cache_drop_size : 0;
  ConformerLayer::Input layer_in;
  layer_in.cache_drop = drop;
  // What follows from the number of frames.
  const auto measure = [&](const at::Tensor& x) {
    const int64_t total = x.size(1) + cache_frames;
    layer_in.lengths = std::make_shared<nn::LengthMask>(frames.lengths);
    if (self_attention_ == SelfAttention::kLocal) return;
    at::Tensor valid;
    if (cached) {
      const at::Tensor place = at::arange(total, frames.lengths.options()).unsqueeze(0);
      valid = (place < (frames.lengths + cache_frames).unsqueeze(1))
                  .logical_and(place >= (cache_frames - remembered).unsqueeze(1));
    } else if (!layer_in.lengths->covers(total)) {
      valid = layer_in.lengths->valid(total).squeeze(1);
    }
    layer_in.mask =
        nn::make_attention_mask(nn::visible_keys(context, total, x.options()), valid, x.options(), cache_frames);
  };
  layer_in.positions = positions_of(frames.x.size(1) + cache_frames);
  if (o.xscaling) frames.x = frames.x * std::sqrt(static_cast<double>(o.d_model));
  if (self_attention_ == SelfAttention::kAbsolute) frames.x = frames.x + layer_in.positions;
  const double dropout = self_attention_ == SelfAttention::kLocal ? o.dropout : o.dropout_pre_encoder;
  if (is_training() && dropout > 0) frames.x = at::dropout(frames.x, dropout, true);
  measure(frames.x);
  const int64_t new_frames = frames.x.size(1) - drop;

  std::vector<at::Tensor> channel_next, time_next;
  for (size_t i = 0; i < layers_.size(); ++i) {
    LayerCache cache;
    if (cached) cache = {channel[static_cast<int64_t>(i)], time[static_cast<int64_t>(i)]};
    at::Tensor out = layers_[i]->forward(frames.x, layer_in, cache);
    if (cached) {
      channel_next.push_back(cache.channel);
      time_next.push_back(cache.time);
    }
    if (const double p = drop_probabilities_[i]; is_training() && p > 0) {
      // A layer that is left out still takes part with 0, so that every process has gradients for the same weights.
      const bool left_out = at::rand({1}).item<double>() < p;
      out = left_out ? out * 0.0 + frames.x : (out - frames.x) / (1 - p) + frames.x;
    }
    frames.x = out;
    if (reduction_ && *o.reduction_position == static_cast<int64_t>(i)) {
      frames = reduction_->forward(frames);
      layer_in.positions = positions_of(frames.x.size(1));
      measure(frames.x);
    }
    hand_out(i, frames);
  }
  if (out_proj_) frames.x = nn::linear(frames.x, out_proj_);
  if (reduction_ && *o.reduction_position == -1) frames = reduction_->forward(frames);
  Values out = {{"outputs", frames.x.transpose(1, 2)}, {"encoded_lengths", frames.lengths}};
  if (cached) {
    out.add("cache_last_channel_next", at::stack(channel_next));
    out.add("cache_last_time_next", at::stack(time_next));
    out.add("cache_last_channel_next_len", (remembered + new_frames).clamp_max(cache_frames));
  }
  return out;
}

void ConformerEncoder::add_adapter(const std::string& name, const Json& config) {
  Json section = config;
  section["in_features"] = options_.d_model;
  for (const auto& layer : layers_) layer->add_adapter(name, section);
}
bool ConformerEncoder::is_adapter_available() const { return layers_.front()->is_adapter_available(); }
void ConformerEncoder::set_enabled_adapters(const std::optional<std::string>& name, bool enabled) {
  for (const auto& layer : layers_) layer->set_enabled_adapters(name, enabled);
}
std::vector<std::string> ConformerEncoder::get_enabled_adapters() const {
  return layers_.front()->get_enabled_adapters();
}
std::vector<std::string> ConformerEncoder::get_adapters() const { return layers_.front()->get_adapters(); }
void ConformerEncoder::unfreeze_enabled_adapters() {
  for (const auto& layer : layers_) layer->unfreeze_enabled_adapters();
}

const void* ConformerEncoder::query(std::string_view id) {
  return capability_detail::find<ConformerEncoder, NeuralModule::Storage>(id,
                                                                          capability_detail::List<InferenceCompute>{});
}

void ConformerEncoder::prepare_inference(const std::string& precision) {
  const nn::Compute compute = nn::parse_compute(precision);
  if (prepared_) return;
  prepared_ = true;
  if (subsampling_)
    subsampling_->prepare_inference(compute);
  else
    nn::pack_weight(projection_->weight, compute);
  for (const auto& layer : layers_) layer->prepare_inference(compute);
  if (out_proj_) nn::pack_weight(out_proj_->weight, compute);
}

Json ConformerEncoder::properties() const {
  const Options& o = options_;
  Json contexts = Json::array();
  for (const auto& c : contexts_.all) {
    contexts.push_back(c.style == Style::kChunkedWithRight ? Json{c.left, c.chunk, c.right} : Json{c.left, c.right});
  }
  Json out = {{"feat_in", o.feat_in},
              {"feat_out", out_proj_ ? o.feat_out : o.d_model},
              {"subsampling_factor", (subsampling_ ? o.subsampling_factor : 1) * (reduction_ ? o.reduction_factor : 1)},
              {"d_model", o.d_model},
              {"n_layers", o.n_layers},
              {"att_context_size", contexts},
              {"conv_context_size", {conv_context_.first, conv_context_.second}}};
  if (streaming_) out["streaming"] = json_of(*streaming_);
  return out;
}

Values ConformerEncoder::input_example() const {
  const auto options = parameters().front().options().requires_grad(false);
  return {{"audio_signal", at::randn({1, options_.feat_in, 256}, options.dtype(at::kFloat)).to(options.dtype())},
          {"length", at::full({1}, 256, options.dtype(at::kLong))}};
}

}  // namespace fathom::asr
