#include "plugins/tts/modules/normed_conv.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <cmath>
#include <numeric>

namespace fathom::tts {
namespace {

// Of the convolutions that keep their width, as those of residual blocks do, in which nearly all of a vocoder's time
// goes; below 32 channels the tiles cost more than they save.
bool goes_by_tiles(const NormedConvOptions& options) { return options.in == options.out && options.in >= 32; }

constexpr double kEps = 1e-12;

at::Tensor unit(const at::Tensor& x) { return x / x.norm().clamp_min(kEps); }

// 1 for each dimension of the kernel that the options leave out.
std::vector<int64_t> filled_with(std::vector<int64_t> values, size_t size, int64_t otherwise) {
  if (values.empty()) values.assign(size, otherwise);
  return values;
}

int64_t version_of(const at::Tensor& x) { return x.is_inference() ? -1 : static_cast<int64_t>(x._version()); }

}  // namespace

NormedConv::NormedConv(NormedConvOptions options) : options_(std::move(options)) {
  NormedConvOptions& o = options_;
  const size_t dims = o.kernel.size();
  o.stride = filled_with(o.stride, dims, 1);
  o.padding = filled_with(o.padding, dims, 0);
  o.dilation = filled_with(o.dilation, dims, 1);
  std::vector<int64_t> shape =
      o.transposed ? std::vector<int64_t>{o.in, o.out / o.groups} : std::vector<int64_t>{o.out, o.in / o.groups};
  for (const int64_t width : o.kernel) shape.push_back(width);
  at::Tensor weight = at::empty(shape);
  // As torch's convolutions begin.
  torch::nn::init::kaiming_uniform_(weight, std::sqrt(5.0));
  const int64_t fan_in = std::accumulate(shape.begin() + 1, shape.end(), int64_t{1}, std::multiplies<>());
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  bias_ = register_parameter("bias", at::empty({o.out}).uniform_(-bound, bound));
  if (o.norm == WeightNorm::kLength) {
    g_ = register_parameter("weight_g", at::norm_except_dim(weight, 2, 0).clone());
    v_ = register_parameter("weight_v", weight);
    return;
  }
  const int64_t rows = shape[0];
  orig_ = register_parameter("weight_orig", weight);
  u_ = register_buffer("weight_u", unit(at::randn({rows})));
  right_ = register_buffer("weight_v", unit(at::randn({weight.numel() / rows})));
}

at::Tensor NormedConv::spectral_weight() {
  const at::Tensor matrix = orig_.reshape({orig_.size(0), -1});
  at::Tensor u = u_, v = right_;
  if (is_training()) {
    const at::NoGradGuard no_grad;
    right_.copy_(unit(at::mv(matrix.t(), u_)));
    u_.copy_(unit(at::mv(matrix, right_)));
    // The next call changes the buffers before this one's gradients are taken.
    u = u_.clone();
    v = right_.clone();
  }
  return orig_ / at::dot(u, at::mv(matrix, v));
}

at::Tensor NormedConv::weight() {
  if (options_.norm == WeightNorm::kSpectral) return spectral_weight();
  if (is_training() || at::GradMode::is_enabled() || v_.is_inference()) return at::_weight_norm(v_, g_, 0);
  if (!folded_.defined() || folded_g_ != g_._version() || folded_v_ != v_._version() ||
      folded_.scalar_type() != v_.scalar_type() || folded_.device() != v_.device()) {
    folded_ = at::_weight_norm(v_, g_, 0);
    folded_g_ = g_._version();
    folded_v_ = v_._version();
  }
  return folded_;
}

at::Tensor NormedConv::convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const {
  const NormedConvOptions& o = options_;
  if (o.transposed)
    return at::conv_transpose1d(x, weight, bias, o.stride, o.padding, /*output_padding=*/0, o.groups, o.dilation);
  if (o.kernel.size() == 2) return at::conv2d(x, weight, bias, o.stride, o.padding, o.dilation, o.groups);
  return at::conv1d(x, weight, bias, o.stride, o.padding, o.dilation, o.groups);
}

at::Tensor NormedConv::forward(const at::Tensor& x) { return convolve(x, weight(), bias_); }

at::Tensor NormedConv::infer(const at::Tensor& x) {
  const at::Tensor own = weight();
  if (own.scalar_type() == x.scalar_type()) return convolve(x, own, bias_);
  const int64_t bias = version_of(bias_);
  if (!own.is_same(converted_of_) || bias != converted_bias_version_ || converted_.scalar_type() != x.scalar_type()) {
    converted_ = own.to(x.scalar_type());
    converted_bias_ = bias_.to(x.scalar_type());
    converted_of_ = own;
    converted_bias_version_ = bias;
  }
  return convolve(x, converted_, converted_bias_);
}

bool NormedConv::is_packed() {
  const at::Tensor own = weight();
  const int64_t bias = version_of(bias_);
  if (own.is_same(packed_) && bias == packed_bias_) return true;
  packed_ = own;
  packed_bias_ = bias;
  return false;
}

const nn::FrameTaps& NormedConv::frame_taps() {
  if (!is_packed()) frame_taps_ = nn::pack_frame_conv(packed_, bias_, options_.dilation[0], goes_by_tiles(options_));
  return frame_taps_;
}

const nn::FrameUpsampling& NormedConv::frame_upsampling() {
  if (!is_packed()) frame_upsampling_ = nn::pack_frame_upsampling(packed_, bias_, options_.stride[0]);
  return frame_upsampling_;
}

}  // namespace fathom::tts
