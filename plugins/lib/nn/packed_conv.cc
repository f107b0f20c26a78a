#include "plugins/lib/nn/packed_conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "plugins/lib/nn/depthwise_conv.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

// Bytes of a panel of weights, so that they and the rows they meet stay in a second-level cache of 1 MiB.
constexpr int64_t kPanelBytes = 768 << 10;
constexpr int64_t kWorthAThread = 2'000'000;  // multiplications

int64_t panel_width(int64_t in, int64_t out, int64_t kernel) {
  const int64_t fits = kPanelBytes / (static_cast<int64_t>(sizeof(float)) * in * kernel);
  const int64_t most = std::clamp<int64_t>(fits / kPanelStep * kPanelStep, 4 * kPanelStep, kPanelFrames);
  const int64_t panels = (out + most - 1) / most;
  return ((out + panels - 1) / panels + kPanelStep - 1) / kPanelStep * kPanelStep;
}

}  // namespace

bool PackedConv::can_pack(const at::Tensor& weight) {
  return weight.dim() == 3 && weight.size(2) % 2 == 1 && weight.numel() > 0 && weight.scalar_type() == at::kFloat &&
         weight.device().is_cpu() && faster_than_blas();
}

PackedConv::PackedConv(const at::Tensor& weight) : in_(weight.size(1)), out_(weight.size(0)), kernel_(weight.size(2)) {
  const int64_t width = panel_width(in_, out_, kernel_);
  for (int64_t first = 0; first < out_; first += width) {
    const int64_t own = std::min(width, out_ - first);
    panels_.push_back({first, own, weight.detach().narrow(0, first, own).permute({2, 1, 0}).contiguous()});
  }
}

at::Tensor PackedConv::operator()(const at::Tensor& x, const at::Tensor& bias, bool relu) const {
  const int64_t batch = x.size(0), time = x.size(1), pad = kernel_ / 2;
  const at::Tensor source = kernel_ == 1 ? x.contiguous() : at::constant_pad_nd(x, {0, 0, pad, pad}).contiguous();
  const at::Tensor offsets = bias.defined() ? bias.contiguous() : bias;
  at::Tensor y = at::empty({batch, time, out_}, x.options().requires_grad(false));
  const float* from = source.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  const int64_t blocks = (time + kProductRows - 1) / kProductRows;  // of an item
  const int64_t tasks = batch * blocks * static_cast<int64_t>(panels_.size());
  const int64_t tasks_a_thread = kWorthAThread / (kProductRows * panels_.front().width * in_ * kernel_) + 1;
  // A panel's blocks one after the other: its weights stay in the second-level cache.
  at::parallel_for(0, tasks, tasks_a_thread, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const Panel& panel = panels_[static_cast<size_t>(task / (batch * blocks))];
      const int64_t item = task / blocks % batch, row = task % blocks * kProductRows;
      const int64_t count = std::min(kProductRows, time - row);
      const float* rows = from + (item * (time + 2 * pad) + row) * in_;
      const float* weights = panel.weight.const_data_ptr<float>();
      float* results = to + (item * time + row) * out_ + panel.first;
      if (offsets.defined()) {
        const float* offset = offsets.const_data_ptr<float>() + panel.first;
        for (int64_t r = 0; r < count; ++r) std::copy_n(offset, panel.width, results + r * out_);
      }
      const ProductShape shape{count, panel.width, in_, in_, panel.width, out_};
      for (int64_t tap = 0; tap < kernel_; ++tap)
        product(shape, rows + tap * in_, weights + tap * in_ * panel.width, results, offsets.defined() || tap > 0);
      if (!relu) continue;
      for (int64_t r = 0; r < count; ++r) {
        float* values = results + r * out_;
        for (int64_t i = 0; i < panel.width; ++i) values[i] = std::max(values[i], 0.0F);
      }
    }
  });
  return y;
}

at::Tensor RowConv::operator()(torch::nn::Conv1dImpl& conv, const at::Tensor& x, bool relu) {
  const at::Tensor& weight = conv.weight;
  if (conv.is_training() || c10::GradMode::is_enabled() || x.scalar_type() != at::kFloat ||
      !PackedConv::can_pack(weight) || !own_kernels_apply(x, weight)) {
    const at::Tensor made = conv.forward(x.transpose(1, 2)).transpose(1, 2);
    return relu ? at::relu(made) : made;
  }
  const uint32_t version = weight.is_inference() ? 0 : weight._version();
  if (!packed_ || weight_ != weight.const_data_ptr() || version_ != version) {
    packed_ = std::make_shared<const PackedConv>(weight);
    weight_ = weight.const_data_ptr();
    version_ = version;
  }
  return (*packed_)(x, conv.bias, relu);
}

}  // namespace fathom::nn
