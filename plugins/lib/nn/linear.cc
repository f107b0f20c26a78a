#include "plugins/lib/nn/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "plugins/lib/nn/depthwise_conv.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

// With fewer rows turning the weight over costs more than the faster product gives.
constexpr int64_t kFewestRows = 96;

bool worth_it(const torch::nn::LinearImpl& layer, const at::Tensor& x) {
  if (!faster_than_blas() || x.dim() < 2 || x.numel() < kFewestRows * x.size(-1) || x.size(-1) != layer.weight.size(1))
    return false;
  const bool graph = at::GradMode::is_enabled() &&
                     (x.requires_grad() || layer.weight.requires_grad() || (layer.bias.defined() && layer.bias.requires_grad()));
  return !graph && own_kernels_apply(x, layer.weight) && x.scalar_type() == at::kFloat && layer.weight.is_contiguous();
}

}  // namespace

at::Tensor linear(torch::nn::LinearImpl& layer, const at::Tensor& x) {
  if (!worth_it(layer, x)) return layer.forward(x);
  const int64_t in = layer.weight.size(1), out = layer.weight.size(0), rows = x.numel() / in;
  const at::Tensor source = x.contiguous();
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = out;
  at::Tensor y = at::empty(sizes, x.options());
  const auto* a = source.const_data_ptr<float>();
  const auto* w = layer.weight.const_data_ptr<float>();
  auto* c = y.mutable_data_ptr<float>();
  // Panels of outputs, whose turned weights stay in the second-level cache.
  std::vector<float> panel(in * std::min(out, kPanelFrames));
  for (int64_t first = 0; first < out; first += kPanelFrames) {
    const int64_t width = std::min(kPanelFrames, out - first);
    transpose(w + first * in, width, in, in, panel.data());
    const auto* bias = layer.bias.defined() ? layer.bias.const_data_ptr<float>() + first : nullptr;
    at::parallel_for(0, (rows + kProductRows - 1) / kProductRows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t row = block * kProductRows, count = std::min(kProductRows, rows - row);
        float* results = c + row * out + first;
        for (int64_t r = 0; r < count && bias != nullptr; ++r) std::copy_n(bias, width, results + r * out);
        product({count, width, in, in, width, out}, a + row * in, panel.data(), results, bias != nullptr);
      }
    });
  }
  return y;
}

}  // namespace fathom::nn
