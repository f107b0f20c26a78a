#include "plugins/lib/nn/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "plugins/lib/nn/depthwise_conv.h"
#include "plugins/lib/nn/packed_linear.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

// With fewer rows turning the weight over costs more than the faster product gives.
constexpr int64_t kFewestRows = 96;
// Multiplications that are worth waking a thread for.
constexpr int64_t kWorthAThread = 2'000'000;

bool worth_it(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!faster_than_blas() || x.dim() < 2 || weight.dim() != 2 || x.size(-1) != weight.size(1) ||
      x.numel() < kFewestRows * x.size(-1) || x.scalar_type() != at::kFloat || !own_kernels_apply(x, weight)) {
    return false;
  }
  const bool graph = c10::GradMode::is_enabled() &&
                     (x.requires_grad() || weight.requires_grad() || (bias.defined() && bias.requires_grad()));
  return !graph && (!bias.defined() || bias.scalar_type() == at::kFloat);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (const PackedLinear* packed = packed_of(weight)) return (*packed)(x, bias);
  if (!worth_it(x, weight, bias)) return at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
  const int64_t in = weight.size(1), out = weight.size(0), rows = x.numel() / in;
  const at::Tensor source = x.contiguous();
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = out;
  at::Tensor y = at::empty(sizes, x.options());
  const auto* a = source.const_data_ptr<float>();
  const at::Tensor whole_weight = weight.contiguous(), whole_bias = bias.defined() ? bias.contiguous() : bias;
  const auto* w = whole_weight.const_data_ptr<float>();
  auto* c = y.mutable_data_ptr<float>();
  // Panels of outputs, whose turned weights stay in the second-level cache.
  std::vector<float> panel(in * std::min(out, kPanelFrames));
  for (int64_t first = 0; first < out; first += kPanelFrames) {
    const int64_t width = std::min(kPanelFrames, out - first);
    transpose(w + first * in, width, in, in, panel.data());
    const auto* offset = bias.defined() ? whole_bias.const_data_ptr<float>() + first : nullptr;
    const int64_t blocks_a_thread = kWorthAThread / (kProductRows * width * in) + 1;
    at::parallel_for(0, (rows + kProductRows - 1) / kProductRows, blocks_a_thread, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t row = block * kProductRows, count = std::min(kProductRows, rows - row);
        float* results = c + row * out + first;
        for (int64_t r = 0; r < count && offset != nullptr; ++r) std::copy_n(offset, width, results + r * out);
        product({count, width, in, in, width, out}, a + row * in, panel.data(), results, offset != nullptr);
      }
    });
  }
  return y;
}

}  // namespace fathom::nn
