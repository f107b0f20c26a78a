#include "plugins/asr/modules/conv_asr_encoder.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include "plugins/asr/option_range.h"

namespace fathom::asr {
namespace {

// NeMo writes kernel, stride and dilation as one-element lists; a plain number means the same.
int64_t first_of(const Json& value, const char* name, size_t layer) {
  const Json& item = value.is_array() && !value.empty() ? value[0] : value;
  if (!item.is_number_integer() || item.get<int64_t>() < 1 || item.get<int64_t>() > kMostFrames) {
    throw Error(Code::kFailed, std::string("'") + name + "' must be a positive integer or a list of one")
        .at("jasper[" + std::to_string(layer) + "]." + name)
        .seen(json_text(value))
        .expected("1 to " + std::to_string(kMostFrames));
  }
  return item.get<int64_t>();
}

Ports encoder_inputs() { return {{"audio_signal", {"B D T", SpectrogramType{}}}, {"length", {"B", LengthsType{}}}}; }
Ports encoder_outputs() {
  return {{"outputs", {"B D T", AcousticEncodedRepresentation{}}}, {"encoded_lengths", {"B", LengthsType{}}}};
}

}  // namespace

void JasperLayerOptions::describe(OptionSet<JasperLayerOptions>& o) {
  o.required("filters", &JasperLayerOptions::filters, "output channels");
  o("repeat", &JasperLayerOptions::repeat, "convolutions in the block");
  o.required("kernel", &JasperLayerOptions::kernel, "kernel size, an int or a list of one", "frames");
  o("stride", &JasperLayerOptions::stride, "stride, an int or a list of one", "frames");
  o("dilation", &JasperLayerOptions::dilation, "dilation, an int or a list of one", "frames");
  o("dropout", &JasperLayerOptions::dropout, "dropout probability after each activation");
  o("residual", &JasperLayerOptions::residual, "add the block's input through a 1x1 convolution");
  o("residual_dense", &JasperLayerOptions::residual_dense, "add the inputs of all earlier dense blocks too");
  o("separable", &JasperLayerOptions::separable, "depthwise, then pointwise convolution");
  o("groups", &JasperLayerOptions::groups,
    "groups of the (pointwise) convolution; their channels are shuffled after it");
  o("heads", &JasperLayerOptions::heads,
    "filters that a masked depthwise convolution's channels share; -1: one each. Other convolutions have none, as in "
    "NeMo");
  o("residual_mode", &JasperLayerOptions::residual_mode, "add, stride_add or max, from this block on; null: as before");
  o("kernel_size_factor", &JasperLayerOptions::kernel_size_factor, "scales the kernel, which is then made odd");
  o("stride_last", &JasperLayerOptions::stride_last, "only the block's last convolution has the stride");
  o("future_context", &JasperLayerOptions::future_context,
    "frames to the right a kernel may see; -1: as many as to the left", "frames");
  o("se", &JasperLayerOptions::se, "squeeze and excitation");
  o("se_reduction_ratio", &JasperLayerOptions::se_reduction_ratio,
    "channels per hidden unit of squeeze and excitation");
  o("se_context_size", &JasperLayerOptions::se_context_size,
    "frames that squeeze and excitation averages in training; -1: all", "frames");
  o("se_interpolation_mode", &JasperLayerOptions::se_interpolation_mode,
    "NeMo's key; the excitation is one value per channel, so nothing is interpolated");
}

void ConvASREncoder::Options::describe(OptionSet<Options>& o) {
  o.required("jasper", &Options::jasper, "the blocks, in order");
  o("activation", &Options::activation, "hardtanh, relu, selu, swish, silu or gelu");
  o.required("feat_in", &Options::feat_in, "features per frame");
  o("normalization_mode", &Options::normalization_mode, "batch, layer, instance or group");
  o("residual_mode", &Options::residual_mode, "add, stride_add or max");
  o("norm_groups", &Options::norm_groups, "groups of group normalisation; -1: one per channel");
  o("conv_mask", &Options::conv_mask, "zero what lies beyond an item's length before every convolution");
  o("frame_splicing", &Options::frame_splicing, "frames that the preprocessor stacks; multiplies feat_in");
  o("init_mode", &Options::init_mode,
    "xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, tds_uniform, tds_normal or null");
  o("quantize", &Options::quantize, "quantisation-aware training; only false is supported");
}

ConvASREncoder::ConvASREncoder(const Options& o) : AccessMixin(this) {
  if (o.quantize)
    throw Error(Code::kFailed, "quantisation-aware training is not supported").at("quantize").expected("false");
  if (o.jasper.empty()) throw Error(Code::kFailed, "the encoder has no blocks").at("jasper");
  const nn::Activation activation = nn::parse_activation(o.activation);
  constexpr int64_t kMostChannels = 1 << 20;
  check_range("feat_in", o.feat_in, 1, kMostChannels);
  check_range("frame_splicing", o.frame_splicing, 1, kMostChannels / o.feat_in);
  feat_in_ = o.feat_in * o.frame_splicing;
  int64_t channels = feat_in_;
  std::string residual_mode = o.residual_mode;
  std::vector<int64_t> panes;
  torch::nn::ModuleList encoder;
  for (size_t i = 0; i < o.jasper.size(); ++i) {
    const JasperLayerOptions& layer = o.jasper[i];
    JasperBlockOptions block;
    block.in_channels = channels;
    block.filters = layer.filters;
    block.repeat = layer.repeat;
    block.kernel = first_of(layer.kernel, "kernel", i);
    block.kernel_size_factor = layer.kernel_size_factor;
    block.stride = first_of(layer.stride, "stride", i);
    block.dilation = first_of(layer.dilation, "dilation", i);
    block.dropout = layer.dropout;
    block.activation = activation;
    block.residual = layer.residual;
    if (layer.residual_dense) {
      panes.push_back(channels);
      block.residual_panes = panes;
    }
    if (layer.residual_mode) residual_mode = *layer.residual_mode;
    block.residual_mode = residual_mode;
    block.groups = layer.groups;
    block.separable = layer.separable;
    block.heads = layer.heads;
    block.normalization = o.normalization_mode;
    block.norm_groups = o.norm_groups;
    block.conv_mask = o.conv_mask;
    block.squeeze_excite = layer.se;
    block.se_reduction_ratio = layer.se_reduction_ratio;
    block.se_context_window = layer.se_context_size;
    block.stride_last = layer.stride_last;
    block.future_context = layer.future_context;
    try {
      blocks_.push_back(std::make_shared<JasperBlock>(block));
    } catch (Error& error) {
      error.locate("jasper[" + std::to_string(i) + "]");
      throw;
    }
    encoder->push_back(blocks_.back());
    channels = layer.filters;
    for (int64_t r = 0; block.stride > 1 && r < (layer.stride_last ? 1 : layer.repeat); ++r) {
      subsampling_factor_ *= block.stride;
      if (subsampling_factor_ <= kMostFrames) continue;
      throw Error(Code::kFailed, "the strides multiply to more frames than there are")
          .at("jasper[" + std::to_string(i) + "].stride")
          .seen(std::to_string(subsampling_factor_))
          .expected("at most " + std::to_string(kMostFrames));
    }
  }
  feat_out_ = channels;
  register_module("encoder", encoder);
  nn::init_weights(*this, o.init_mode.value_or(""));
}

Ports ConvASREncoder::inputs() const { return encoder_inputs(); }
Ports ConvASREncoder::outputs() const { return encoder_outputs(); }
void ConvASREncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(encoder_inputs());
  schema["outputs"] = ports_json(encoder_outputs());
}

Values ConvASREncoder::forward(const Values& in) {
  const at::Tensor& signal = in.tensor("audio_signal");
  if (signal.size(1) != feat_in_) {
    throw Error(Code::kFailed, "the encoder got another number of features than it was built for")
        .seen(std::to_string(signal.size(1)))
        .expected(std::to_string(feat_in_) + " (feat_in * frame_splicing)")
        .next("make encoder.feat_in equal to preprocessor.features");
  }
  JasperBlock::State state{{signal}, std::make_shared<nn::LengthMask>(in.tensor("length"))};
  for (const auto& block : blocks_) state = block->forward(state);
  return {{"outputs", state.outputs.back()}, {"encoded_lengths", state.lengths->lengths()}};
}

void ConvASREncoder::add_adapter(const std::string& name, const Json& config) {
  for (const auto& block : blocks_) {
    Json section = config;
    section["in_features"] = block->filters();
    block->add_adapter(name, section);
  }
}
bool ConvASREncoder::is_adapter_available() const { return blocks_.front()->is_adapter_available(); }
void ConvASREncoder::set_enabled_adapters(const std::optional<std::string>& name, bool enabled) {
  for (const auto& block : blocks_) block->set_enabled_adapters(name, enabled);
}
std::vector<std::string> ConvASREncoder::get_enabled_adapters() const {
  return blocks_.front()->get_enabled_adapters();
}
std::vector<std::string> ConvASREncoder::get_adapters() const { return blocks_.front()->get_adapters(); }
void ConvASREncoder::unfreeze_enabled_adapters() {
  for (const auto& block : blocks_) block->unfreeze_enabled_adapters();
}

Json ConvASREncoder::properties() const {
  return {{"feat_in", feat_in_}, {"feat_out", feat_out_}, {"subsampling_factor", subsampling_factor_}};
}

Values ConvASREncoder::input_example() const {
  const auto options = parameters().front().options();
  return {{"audio_signal", at::randn({1, feat_in_, 256}, options.dtype(at::kFloat)).to(options.dtype())},
          {"length", at::full({1}, 256, options.dtype(at::kLong))}};
}

}  // namespace fathom::asr
