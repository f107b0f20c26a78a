#include "plugins/lib/nn/masked_conv.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include <cmath>

#include "fathom/error.h"
#include "plugins/lib/nn/depthwise_conv.h"

namespace fathom::nn {

Conv1dLayer::Conv1dLayer(const ConvOptions& options) : options_(options) {
  ConvOptions& o = options_;
  if (o.heads != -1) {
    if (o.groups != o.in_channels)
      throw Error(Code::kFailed, "'heads' is only for depthwise convolutions (separable: true)");
    if (o.heads <= 0 || o.in_channels % o.heads != 0) {
      throw Error(Code::kFailed, "'heads' must divide the number of channels")
          .seen("heads " + std::to_string(o.heads) + ", channels " + std::to_string(o.in_channels));
    }
    o.in_channels = o.out_channels = o.groups = o.heads;
  }
  if (o.groups <= 0 || o.in_channels % o.groups != 0 || o.out_channels % o.groups != 0) {
    throw Error(Code::kFailed, "'groups' must divide the channels before and after a convolution")
        .seen("groups " + std::to_string(o.groups) + ", channels " + std::to_string(o.in_channels) + " to " +
              std::to_string(o.out_channels));
  }
  weight = register_parameter("weight", at::empty({o.out_channels, o.in_channels / o.groups, o.kernel}));
  torch::nn::init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (o.bias) {
    const double bound = 1 / std::sqrt(static_cast<double>(o.in_channels / o.groups * o.kernel));
    bias = register_parameter("bias", at::empty({o.out_channels}));
    torch::nn::init::uniform_(bias, -bound, bound);
  }
}

bool Conv1dLayer::depthwise() const {
  return options_.groups == options_.in_channels && options_.out_channels == options_.in_channels &&
         options_.groups > 1;
}

at::Tensor Conv1dLayer::forward(const at::Tensor& x, const LengthMaskPtr& mask, const LengthMaskPtr& out_mask) {
  const ConvOptions& o = options_;
  if (depthwise() || o.heads != -1) {
    return depthwise_conv1d(x, weight, bias, {o.stride, o.dilation, o.pad_left, o.pad_right, mask, out_mask});
  }
  at::Tensor in = mask ? mask->apply(x) : x, out;
  // Pointwise convolutions too: oneDNN's are twice as fast as the BLAS behind matmul on AMD, and no slower elsewhere.
  if (o.pad_left != o.pad_right) in = at::constant_pad_nd(in, {o.pad_left, o.pad_right});
  out = at::conv1d(in, weight, bias.defined() ? std::optional(bias) : std::nullopt, o.stride,
                   o.pad_left == o.pad_right ? o.pad_left : 0, o.dilation, o.groups);
  return out_mask ? out_mask->apply(out) : out;
}

MaskedConv1d::MaskedConv1d(const ConvOptions& options)
    : conv_(register_module("conv", std::make_shared<Conv1dLayer>(options))) {}

LengthMaskPtr MaskedConv1d::new_lengths(const LengthMaskPtr& lengths) const {
  const ConvOptions& o = conv_->options();
  const int64_t change = o.pad_left + o.pad_right - o.dilation * (o.kernel - 1);
  // NeMo asks the convolution inside, which pads nothing where the sides differ: a kernel of one frame keeps the
  // lengths.
  if (o.stride == 1 && (change == 0 || (o.kernel == 1 && o.pad_left != o.pad_right))) return lengths;
  return std::make_shared<LengthMask>(at::div(lengths->lengths() + (change - 1), o.stride, "trunc") + 1);
}

MaskedConv1d::Masked MaskedConv1d::forward(const Masked& in, bool mask_output) {
  Masked out;
  out.lengths = new_lengths(in.lengths);
  out.is_masked = mask_output;
  out.x = conv_->forward(in.x, in.is_masked ? nullptr : in.lengths, mask_output ? out.lengths : nullptr);
  return out;
}

namespace {

void init_tensor(at::Tensor weight, const std::string& mode) {
  namespace init = torch::nn::init;
  if (mode.empty()) return;
  const at::NoGradGuard no_grad;
  if (mode == "xavier_uniform")
    init::xavier_uniform_(weight);
  else if (mode == "xavier_normal")
    init::xavier_normal_(weight);
  else if (mode == "kaiming_uniform")
    init::kaiming_uniform_(weight, 0, torch::kFanIn, torch::kReLU);
  else if (mode == "kaiming_normal")
    init::kaiming_normal_(weight, 0, torch::kFanIn, torch::kReLU);
  else if (mode == "tds_uniform" || mode == "tds_normal") {
    // Time-depth separable networks (arXiv:1904.02619): 2 / sqrt(fan in).
    const double fan_in = static_cast<double>(weight.numel() / weight.size(0)), bound = 2.0 / std::sqrt(fan_in);
    mode == "tds_uniform" ? weight.uniform_(-bound, bound) : weight.normal_(0, bound);
  } else {
    throw Error(Code::kFailed, "unknown init_mode")
        .seen(mode)
        .expected("xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, tds_uniform, tds_normal or null");
  }
}

}  // namespace

void init_weights(torch::nn::Module& root, const std::string& mode) {
  for (const auto& child : root.children()) init_weights(*child, mode);
  if (auto* masked = dynamic_cast<MaskedConv1d*>(&root))
    init_tensor(masked->conv().weight, mode);
  else if (auto* conv = dynamic_cast<Conv1dLayer*>(&root))
    init_tensor(conv->weight, mode);
  else if (auto* linear = dynamic_cast<torch::nn::LinearImpl*>(&root))
    init_tensor(linear->weight, mode);
  else if (auto* norm = dynamic_cast<torch::nn::BatchNorm1dImpl*>(&root))
    norm->reset_parameters();
}

}  // namespace fathom::nn
