#include "plugins/asr/losses/joint_products.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "plugins/lib/nn/product_kernel.h"

namespace fathom::asr {
namespace {

using nn::kPanelFrames;
using nn::kPanelStep;
using nn::kProductRows;

// Weights of smaller layers: a product takes no longer than what stands around it.
constexpr int64_t kFewestWeights = 1 << 16;

int64_t rounded_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// c (m, n) in blocks of rows.
template <typename T>
void rows_by_blocks(nn::ProductShape shape, const T* a, const T* b, float* c, bool add) {
  const int64_t rows = shape.m;
  for (int64_t row = 0; row < rows; row += kProductRows) {
    shape.m = std::min(kProductRows, rows - row);
    nn::product(shape, a + row * shape.lda, b, c + row * shape.ldc, add);
  }
}

}  // namespace

JointProducts::JointProducts(at::Tensor weight, at::Tensor bias) : weight_(std::move(weight)), bias_(std::move(bias)) {
  if (!nn::PackedLinear::can_pack(weight_, nn::Compute::kFloat32)) return;
  exact_ = std::make_unique<nn::PackedLinear>(weight_, nn::Compute::kFloat32);
  if (weight_.numel() >= kFewestWeights && nn::PackedLinear::can_pack(weight_, nn::Compute::kBFloat16))
    rough_ = std::make_unique<nn::PackedLinear>(weight_, nn::Compute::kBFloat16);
}

at::Tensor JointProducts::logits(const at::Tensor& hidden) const {
  return exact_ == nullptr ? at::addmm(bias_, hidden, weight_.t()) : (*exact_)(hidden, bias_);
}

at::Tensor JointProducts::sketch(const at::Tensor& hidden) const { return (*rough_)(hidden, bias_); }

at::Tensor JointProducts::below(const at::Tensor& gradient) const {
  if (exact_ == nullptr) return at::mm(gradient, weight_);
  const int64_t rows = gradient.size(0), units = weight_.size(1);
  at::Tensor out = at::empty({rows, units}, at::kFloat);
  for (int64_t first = 0; first < units; first += kPanelFrames) {
    const int64_t width = std::min(kPanelFrames, units - first);
    rows_by_blocks<float>({rows, width, classes(), classes(), units, units}, gradient.const_data_ptr<float>(),
                          weight_.const_data_ptr<float>() + first, out.mutable_data_ptr<float>() + first, false);
  }
  return out;
}

void JointProducts::add_to(at::Tensor& sum, const at::Tensor& gradient, const at::Tensor& hidden) const {
  if (exact_ == nullptr) {
    at::addmm_out(sum, sum, gradient.t(), hidden);
    return;
  }
  // Rows are what is summed over: few kernels for many counts of rows, by rows of zeros.
  const int64_t rows = gradient.size(0), padded = rounded_up(rows, kPanelStep), units = hidden.size(1);
  at::Tensor turned = at::empty({classes(), padded}, at::kFloat), below = hidden;
  if (padded != rows) {
    const at::Tensor whole = at::constant_pad_nd(gradient, {0, 0, 0, padded - rows});
    nn::transpose(whole.const_data_ptr<float>(), padded, classes(), classes(), turned.mutable_data_ptr<float>());
    below = at::constant_pad_nd(hidden, {0, 0, 0, padded - rows});
  } else {
    nn::transpose(gradient.const_data_ptr<float>(), rows, classes(), classes(), turned.mutable_data_ptr<float>());
  }
  for (int64_t first = 0; first < units; first += kPanelFrames) {
    const int64_t width = std::min(kPanelFrames, units - first);
    rows_by_blocks<float>({classes(), width, padded, padded, units, units}, turned.const_data_ptr<float>(),
                          below.const_data_ptr<float>() + first, sum.mutable_data_ptr<float>() + first, true);
  }
}

}  // namespace fathom::asr
