#include "plugins/asr/modules/conv_subsampling.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "fathom/error.h"
#include "plugins/lib/nn/activation.h"
#include "plugins/lib/nn/linear.h"

namespace fathom::asr {
namespace {

constexpr int64_t kSubsamplingKernel = 3, kSubsamplingStride = 2;

[[noreturn]] void refuse_subsampling(const std::string& kind) {
  const bool known = kind == "vggnet" || kind == "striding_conv1d" || kind == "dw_striding_conv1d";
  throw Error(Code::kFailed,
              known ? "this subsampling, with which NeMo 3.0 fails too, is not supported" : "unknown subsampling")
      .at("subsampling")
      .seen(kind)
      .expected("striding, dw_striding, stacking, stacking_norm or null");
}

// x (B, C, T, F) with what lies beyond each item's length set to 0. `own`: x may be changed in place.
at::Tensor cleared(at::Tensor x, nn::LengthMask& lengths, bool own) {
  const int64_t frames = x.size(2);
  if (lengths.covers(frames)) return x;
  const int64_t* ends = lengths.host_lengths();
  if (!own || x.requires_grad() || ends == nullptr)
    return at::where(lengths.valid(frames).unsqueeze(-1), x, at::zeros({}, x.options()));
  for (int64_t i = 0; i < x.size(0); ++i) {
    if (ends[i] < frames) x[i].slice(1, std::max<int64_t>(ends[i], 0)).zero_();
  }
  return x;
}

// The first convolution, of one channel, as a product of patches and filters: on a CPU five times as fast. Its output
// has the channels innermost, which suits the next ones. x (B, T, F), padded.
at::Tensor convolve_first(const torch::nn::Conv2dImpl& conv, const at::Tensor& x) {
  const at::Tensor patches =
      x.unfold(1, kSubsamplingKernel, kSubsamplingStride).unfold(2, kSubsamplingKernel, kSubsamplingStride);
  return nn::linear(patches.flatten(3), conv.weight.flatten(1), conv.bias).permute({0, 3, 1, 2});
}

}  // namespace

int64_t halvings_of(int64_t factor, const char* option) {
  int64_t count = 0;
  while (count < 30 && (int64_t{1} << count) < factor) ++count;
  if (factor < 1 || (int64_t{1} << count) != factor) {
    throw Error(Code::kFailed, std::string(option) + " must be a power of 2")
        .at(option)
        .seen(std::to_string(factor))
        .expected("1, 2, 4, 8, …");
  }
  return count;
}

ConvSubsampling::ConvSubsampling(const ConvSubsamplingOptions& options) : options_(options) {
  const ConvSubsamplingOptions& o = options_;
  const bool depthwise = o.kind == "dw_striding";
  if (!depthwise && o.kind != "striding") refuse_subsampling(o.kind);
  const int64_t count = halvings_of(o.factor, "subsampling_factor");
  if (o.channels < 1) {
    throw Error(Code::kFailed, "a subsampling needs channels")
        .at("subsampling_conv_channels")
        .seen(std::to_string(o.channels))
        .expected("a positive number, or -1 for d_model");
  }
  const int64_t padding = o.causal ? 0 : 1;  // the causal padding is not the same on both sides
  torch::nn::ModuleList conv;
  const auto add_activation = [&] { conv->push_back(std::make_shared<nn::ActivationLayer>(nn::Activation::kReLU)); };
  int64_t features = o.feat_in;
  for (int64_t i = 0; i < count; ++i) {
    Stage stage;
    const bool first = i == 0, narrow = depthwise && !first;
    stage.strided = torch::nn::Conv2d(torch::nn::Conv2dOptions(first ? 1 : o.channels, o.channels, kSubsamplingKernel)
                                          .stride(kSubsamplingStride)
                                          .padding(padding)
                                          .groups(narrow ? o.channels : 1));
    conv->push_back(stage.strided);
    if (narrow) {
      stage.pointwise = torch::nn::Conv2d(torch::nn::Conv2dOptions(o.channels, o.channels, 1));
      conv->push_back(stage.pointwise);
    }
    add_activation();
    stages_.push_back(stage);
    features = output_length(features);
  }
  if (features < 1) {
    throw Error(Code::kFailed, "there are too few features for so much subsampling")
        .at("feat_in")
        .seen(std::to_string(o.feat_in));
  }
  out_ = torch::nn::Linear(o.channels * features, o.feat_out);
  register_module("out", out_);
  register_module("conv", conv);
}

int64_t ConvSubsampling::output_length(int64_t length) const {
  const int64_t padded = length + (options_.causal ? 3 : 2);
  return padded < kSubsamplingKernel ? 0 : (padded - kSubsamplingKernel) / kSubsamplingStride + 1;
}

at::Tensor ConvSubsampling::convolve(at::Tensor x, nn::LengthMaskPtr lengths, at::Tensor& out_lengths) {
  const int64_t before = options_.causal ? 2 : 1;
  x = x.unsqueeze(1);  // (B, 1, T, F)
  for (size_t i = 0; i < stages_.size(); ++i) {
    Stage& stage = stages_[i];
    if (options_.mask_inside) x = cleared(x, *lengths, /*own=*/i > 0);
    const bool product = i == 0 && x.is_cpu();
    if (options_.causal || product) x = at::constant_pad_nd(x, {before, 1, before, 1});
    x = product ? convolve_first(*stage.strided, x.squeeze(1)) : stage.strided(x);
    const int64_t change = (options_.causal ? 3 : 2) - kSubsamplingKernel;
    lengths = std::make_shared<nn::LengthMask>(at::div(lengths->lengths() + change, kSubsamplingStride, "floor") + 1);
    if (stage.pointwise) {
      if (options_.mask_inside) x = cleared(x, *lengths, true);
      x = stage.pointwise(x);
    }
    x = at::relu_(x);
  }
  if (options_.mask_inside) x = cleared(x, *lengths, true);
  out_lengths = lengths->lengths();
  return nn::linear(x.transpose(1, 2).flatten(2), out_);
}

Frames ConvSubsampling::forward(const Frames& in) {
  const int64_t batch = in.x.size(0);
  const int64_t part = options_.chunking > 1 ? batch / options_.chunking : 0;
  Frames out;
  if (part == 0) {
    out.x = convolve(in.x, std::make_shared<nn::LengthMask>(in.lengths), out.lengths);
    return out;
  }
  std::vector<at::Tensor> parts, lengths;
  for (int64_t start = 0; start < batch; start += part) {
    lengths.emplace_back();
    parts.push_back(convolve(in.x.slice(0, start, start + part),
                             std::make_shared<nn::LengthMask>(in.lengths.slice(0, start, start + part)),
                             lengths.back()));
  }
  return {at::cat(parts), at::cat(lengths)};
}

StackingSubsampling::StackingSubsampling(int64_t factor, int64_t feat_in, int64_t feat_out, bool norm)
    : factor_(factor), proj_out_(factor * feat_in, feat_out) {
  register_module("proj_out", proj_out_);
  if (norm) pre_norm_ = register_module("pre_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({feat_in})));
}

Frames StackingSubsampling::forward(const Frames& in) {
  const int64_t frames = in.x.size(1), missing = (factor_ - frames % factor_) % factor_;
  at::Tensor x = missing > 0 ? at::constant_pad_nd(in.x, {0, 0, 0, missing}) : in.x;
  if (pre_norm_) x = pre_norm_(x);
  x = x.reshape({x.size(0), x.size(1) / factor_, x.size(2) * factor_});
  // The frames that fill up the batch count for every item, as in NeMo.
  return {nn::linear(x, proj_out_), at::div(in.lengths + missing, factor_, "floor")};
}

SubsamplingReduction::SubsamplingReduction(const std::string& kind, int64_t width, int64_t factor)
    : factor_(factor), halvings_(halvings_of(factor, "reduction_factor")) {
  if (kind == "striding") {
    ConvSubsamplingOptions o;
    o.factor = factor;
    o.feat_in = o.feat_out = o.channels = width;
    striding_ = register_module("reduction_enc", std::make_shared<ConvSubsampling>(o));
  } else if (kind != "pooling") {
    throw Error(Code::kFailed, "unknown reduction").at("reduction").seen(kind).expected("pooling, striding or null");
  }
}

Frames SubsamplingReduction::forward(const Frames& in) {
  if (striding_) return striding_->forward(in);
  if (in.x.size(1) < factor_) {
    throw Error(Code::kFailed, "an input is too short for its reduction")
        .seen(std::to_string(in.x.size(1)) + " frames")
        .expected("at least reduction_factor (" + std::to_string(factor_) + ") frames")
        .next("drop items that short (min_duration)");
  }
  at::Tensor lengths = in.lengths;
  // Once for every halving, although one pooling does it all: what models with a factor above 2 were trained with.
  for (int64_t i = 0; i < halvings_; ++i) lengths = at::div(lengths - factor_, factor_, "floor") + 1;
  return {at::max_pool1d(in.x.transpose(1, 2), factor_, factor_).transpose(1, 2), lengths};
}

}  // namespace fathom::asr
