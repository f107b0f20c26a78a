#include "plugins/asr/modules/jasper_block.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/dropout.h>

#include <algorithm>

#include "fathom/support.h"
#include "plugins/asr/option_range.h"
#include "plugins/lib/nn/conv_chain.h"
#include "plugins/lib/nn/conv_norm.h"

namespace fathom::asr {
namespace {

// Mixes the channels of a grouped convolution so that the next one sees every group.
at::Tensor shuffle_groups(const at::Tensor& x, int64_t groups) {
  return x.reshape({x.size(0), groups, x.size(1) / groups, x.size(2)}).transpose(1, 2).reshape(x.sizes());
}

}  // namespace

int64_t scaled_kernel_size(int64_t kernel, double factor) {
  const double scaled = static_cast<double>(kernel) * factor;
  if (!(scaled <= kMostFrames)) {
    throw Error(Code::kFailed, "the scaled kernel is out of range")
        .at("kernel_size_factor")
        .seen(json_text(Json(factor)) + ", of a kernel of " + std::to_string(kernel))
        .expected("a kernel of at most " + std::to_string(kMostFrames) + " frames");
  }
  const int64_t size = std::max<int64_t>(static_cast<int64_t>(scaled), 1);
  return size % 2 == 0 ? size + 1 : size;
}

std::pair<int64_t, int64_t> conv_padding(int64_t kernel, int64_t stride, int64_t dilation, int64_t future_context) {
  if (stride > 1 && dilation > 1) {
    throw Error(Code::kFailed, "only one of stride and dilation may be greater than 1")
        .seen("stride " + std::to_string(stride) + ", dilation " + std::to_string(dilation));
  }
  if (dilation * (kernel - 1) > kMostFrames) {
    throw Error(Code::kFailed, "the dilated kernel is longer than any audio")
        .at("dilation")
        .seen(std::to_string(dilation) + ", of a kernel of " + std::to_string(kernel))
        .expected("a reach of at most " + std::to_string(kMostFrames) + " frames");
  }
  const int64_t same = dilation * (kernel - 1) / 2;
  if (future_context < 0) return {same, same};
  if (kernel <= future_context) {
    log(LogLevel::kWarning, "asr",
        "future_context " + std::to_string(future_context) + " is not smaller than the kernel (" +
            std::to_string(kernel) + "): using the same padding on both sides");
    return {same, same};
  }
  // With dilation the left side is one dilation longer than the window needs; trained weights depend on it.
  if (dilation > 1) return {dilation * kernel - 1 - dilation * future_context, dilation * future_context};
  return {kernel - 1 - future_context, future_context};
}

JasperBlock::JasperBlock(const JasperBlockOptions& options)
    : AdapterModuleMixin(this), AccessMixin(this), options_(options) {
  const JasperBlockOptions& o = options_;
  if (o.repeat < 1) throw Error(Code::kFailed, "a block needs repeat >= 1").seen(std::to_string(o.repeat));
  if (o.residual_mode != "add" && o.residual_mode != "stride_add" && o.residual_mode != "max") {
    throw Error(Code::kFailed, "unknown residual_mode").seen(o.residual_mode).expected("add, stride_add or max");
  }
  const int64_t kernel = scaled_kernel_size(o.kernel, o.kernel_size_factor);
  const auto padding = conv_padding(kernel, o.stride, o.dilation, o.future_context);

  torch::nn::ModuleList mconv;
  int64_t channels = o.in_channels;
  for (int64_t r = 0; r < o.repeat; ++r) {
    const bool last = r + 1 == o.repeat;
    const int64_t stride = o.stride_last && !last ? 1 : o.stride;
    stages_.push_back(
        add_stage(*mconv, {channels, o.filters, kernel, stride, o.dilation, o.groups, o.heads, padding, o.separable}));
    if (!last) {
      mconv->push_back(std::make_shared<nn::ActivationLayer>(o.activation));
      mconv->push_back(torch::nn::Dropout(o.dropout));
    }
    channels = o.filters;
  }
  if (o.squeeze_excite) {
    squeeze_excite_ =
        std::make_shared<nn::SqueezeExcite>(o.filters, o.se_reduction_ratio, o.se_context_window, o.activation);
    mconv->push_back(squeeze_excite_);
  }
  register_module("mconv", mconv);

  if (!o.residual) return;
  torch::nn::ModuleList res;
  const int64_t stride = o.residual_mode == "stride_add" ? o.stride : 1;
  const auto panes = o.residual_panes.empty() ? std::vector<int64_t>{o.in_channels} : o.residual_panes;
  for (const int64_t pane : panes) {
    torch::nn::ModuleList branch;
    residuals_.push_back(add_stage(*branch, {pane, o.filters, 1, stride, 1, 1, -1, {0, 0}, false}));
    res->push_back(branch);
  }
  register_module("res", res);
}

std::shared_ptr<torch::nn::Module> JasperBlock::add_conv(torch::nn::ModuleListImpl& list,
                                                         const nn::ConvOptions& options) {
  std::shared_ptr<torch::nn::Module> conv;
  if (options_.conv_mask)
    conv = std::make_shared<nn::MaskedConv1d>(options);
  else if (options.pad_left != options.pad_right)
    throw Error(Code::kFailed, "'future_context' needs conv_mask: true");
  else
    conv = std::make_shared<nn::Conv1dLayer>(options);
  list.push_back(conv);
  return conv;
}

JasperBlock::Stage JasperBlock::add_stage(torch::nn::ModuleListImpl& list, const Geometry& g) {
  Stage stage;
  if (g.separable) {
    // NeMo's plain convolution, that of conv_mask: false, knows no heads.
    const int64_t heads = options_.conv_mask ? g.heads : -1;
    stage.depthwise = add_conv(
        list, {g.in, g.in, g.kernel, g.stride, g.dilation, g.in, g.padding.first, g.padding.second, heads, false});
    stage.conv = add_conv(list, {g.in, g.out, 1, 1, 1, g.groups, 0, 0, -1, false});
  } else {
    stage.conv = add_conv(
        list, {g.in, g.out, g.kernel, g.stride, g.dilation, g.groups, g.padding.first, g.padding.second, -1, false});
  }
  stage.norm = nn::make_norm(options_.normalization, g.out, options_.norm_groups);
  list.push_back(stage.norm);
  if (g.groups > 1) {
    stage.shuffle_groups = g.groups;
    list.push_back(std::make_shared<torch::nn::Module>("GroupShuffle"));
  }
  return stage;
}

nn::MaskedConv1d::Masked JasperBlock::convolve(torch::nn::Module& conv, const nn::MaskedConv1d::Masked& in,
                                               bool mask_output) {
  if (options_.conv_mask) return static_cast<nn::MaskedConv1d&>(conv).forward(in, mask_output);
  return {static_cast<nn::Conv1dLayer&>(conv).forward(in.x), in.lengths, false};
}

at::Tensor JasperBlock::run_stage(Stage& stage, nn::MaskedConv1d::Masked x, nn::LengthMaskPtr& lengths,
                                  const at::Tensor* residual, const nn::Activation* activation, double dropout) {
  if (stage.depthwise) x = convolve(*stage.depthwise, x, true);
  x = convolve(*stage.conv, x, false);
  lengths = x.lengths;
  if (stage.shuffle_groups == 1) return nn::apply_norm(*stage.norm, x.x, {residual, activation, dropout});
  at::Tensor out = shuffle_groups(nn::apply_norm(*stage.norm, x.x), stage.shuffle_groups);
  if (residual != nullptr) out = out + *residual;
  if (activation != nullptr) out = nn::activate(out, *activation);
  return dropout > 0 ? at::dropout(out, dropout, true) : out;
}

std::optional<nn::MaskedConv1d::Masked> JasperBlock::run_chain(const State& in, Stage* branch, bool activated) {
  const JasperBlockOptions& o = options_;
  if ((is_training() && o.dropout > 0) || o.activation != nn::Activation::kReLU || o.groups != 1 || o.heads != -1 ||
      o.normalization != "batch") {
    return std::nullopt;
  }
  const auto layer = [&](torch::nn::Module& conv) -> nn::Conv1dLayer& {
    return o.conv_mask ? static_cast<nn::MaskedConv1d&>(conv).conv() : static_cast<nn::Conv1dLayer&>(conv);
  };
  const auto chain_stage = [&](const Stage& stage, nn::LengthMaskPtr& lengths) -> std::optional<nn::ChainStage> {
    nn::ChainStage out;
    if (o.conv_mask) out.mask = lengths;
    if (stage.depthwise) {
      nn::Conv1dLayer& conv = layer(*stage.depthwise);
      if (!conv.depthwise()) return std::nullopt;  // of one channel
      out.depthwise = conv.weight;
      out.stride = conv.options().stride;
      out.dilation = conv.options().dilation;
      out.pad_left = conv.options().pad_left;
      out.pad_right = conv.options().pad_right;
      if (o.conv_mask) {
        lengths = static_cast<nn::MaskedConv1d&>(*stage.depthwise).new_lengths(lengths);
        out.out_mask = lengths;
      }
    }
    nn::Conv1dLayer& conv = layer(*stage.conv);
    const nn::ConvOptions& c = conv.options();
    if (c.kernel != 1 || c.stride != 1 || c.pad_left != 0 || c.pad_right != 0) return std::nullopt;
    out.pointwise = conv.weight;
    out.norm = dynamic_cast<torch::nn::BatchNorm1dImpl*>(stage.norm.get());
    return out;
  };
  nn::LengthMaskPtr lengths = in.lengths;
  std::vector<nn::ChainStage> stages;
  for (const Stage& stage : stages_) {
    auto next = chain_stage(stage, lengths);
    if (!next) return std::nullopt;
    stages.push_back(std::move(*next));
  }
  std::optional<nn::ChainStage> residual;
  if (branch != nullptr) {
    nn::LengthMaskPtr unchanged = in.lengths;
    residual = chain_stage(*branch, unchanged);
    if (!residual) return std::nullopt;
  }
  const at::Tensor& x = in.outputs.back();
  if (!nn::conv_chain_applies(x, stages, residual)) return std::nullopt;
  return nn::MaskedConv1d::Masked{nn::conv_chain(x, stages, residual, activated), lengths, false};
}

JasperBlock::State JasperBlock::forward(const State& in) {
  const JasperBlockOptions& o = options_;
  const double dropout = is_training() ? o.dropout : 0;
  const bool adds = o.residual_mode != "max";
  // The only branch is added where the last norm writes its result.
  const bool joined = adds && !squeeze_excite_ && residuals_.size() == 1;
  const bool finish = !squeeze_excite_ && (joined || residuals_.empty());  // activation and dropout follow at once
  const auto chain = run_chain(in, joined ? &residuals_[0] : nullptr, finish);

  std::vector<at::Tensor> branches;
  for (size_t i = 0; i < residuals_.size() && !(chain && joined); ++i) {
    nn::LengthMaskPtr ignored;
    branches.push_back(run_stage(residuals_[i], {in.outputs.at(i), in.lengths, false}, ignored, nullptr, nullptr, 0));
  }
  nn::LengthMaskPtr lengths = chain ? chain->lengths : in.lengths;
  at::Tensor x = chain ? chain->x : in.outputs.back();
  for (size_t i = 0; i < stages_.size() && !chain; ++i) {
    const bool last = i + 1 == stages_.size();
    const bool ends = !last || finish;
    x = run_stage(stages_[i], {x, lengths, false}, lengths, last && joined ? &branches[0] : nullptr,
                  ends ? &o.activation : nullptr, ends ? dropout : 0);
  }
  if (squeeze_excite_) x = squeeze_excite_->forward(x, *lengths);
  if (!finish) {
    for (const auto& branch : branches) x = adds ? x + branch : at::max(x, branch);
    x = nn::activate(x, o.activation);
    if (dropout > 0) x = at::dropout(x, dropout, true);
  }

  if (!get_enabled_adapters().empty()) x = forward_enabled_adapters(x.transpose(1, 2)).transpose(1, 2);
  if (is_access_enabled(model_guid()) && access_config(model_guid()).value("save_encoder_tensors", false))
    register_accessible_tensor("encoder", x);

  State out{{}, lengths};
  if (o.residual && !o.residual_panes.empty()) out.outputs = in.outputs;
  out.outputs.push_back(x);
  return out;
}

}  // namespace fathom::asr
