// The last layer of a joint network for many products with a few hundred rows each: its weights turned over once, for
// the micro-kernels of product_kernel.h where they are the faster ones. One thread a call; calls may run side by side.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "plugins/lib/nn/packed_linear.h"

namespace fathom::asr {

class JointProducts {
 public:
  // weight (C, H) and bias (C) are contiguous float32 or double.
  JointProducts(at::Tensor weight, at::Tensor bias);

  int64_t classes() const { return weight_.size(0); }
  // (n, H) -> (n, C): hidden weight^T + bias.
  at::Tensor logits(const at::Tensor& hidden) const;
  // (n, C) -> (n, H): gradient weight.
  at::Tensor below(const at::Tensor& gradient) const;
  // sum (C, H) += gradient^T hidden, of (n, C) and (n, H).
  void add_to(at::Tensor& sum, const at::Tensor& gradient, const at::Tensor& hidden) const;

  // Whether there are products of bfloat16 (summed in float32), which take half the time and keep three
  // digits; not of small layers, where they would gain nothing.
  bool can_sketch() const { return rough_ != nullptr; }
  at::Tensor sketch(const at::Tensor& hidden) const;  // logits(), about

 private:
  at::Tensor weight_, bias_;
  std::unique_ptr<const nn::PackedLinear> exact_, rough_;  // none: BLAS multiplies; bfloat16
};

}  // namespace fathom::asr
