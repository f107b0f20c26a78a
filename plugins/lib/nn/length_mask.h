// The valid lengths of a batch and the masks they stand for, made once and shared by every layer that sees that length.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

namespace fathom::nn {

class LengthMask {
 public:
  // lengths: (B), any integer type and device.
  explicit LengthMask(at::Tensor lengths);

  const at::Tensor& lengths() const { return lengths_; }
  // (B) int64 in host memory, or null when the lengths live on another device.
  const int64_t* host_lengths() const { return host_.defined() ? host_.const_data_ptr<int64_t>() : nullptr; }
  // True when no item ends before `width`, so that masking changes nothing. Never waits for a device: false there.
  bool covers(int64_t width) const;
  // (B, 1, width) bool, true where an item is valid. Cached for the last width.
  const at::Tensor& valid(int64_t width);
  // x (B, C, T) with what lies beyond each item's length set to 0.
  at::Tensor apply(const at::Tensor& x);

 private:
  at::Tensor lengths_, host_, valid_;
  int64_t shortest_ = -1;
};
using LengthMaskPtr = std::shared_ptr<LengthMask>;

}  // namespace fathom::nn
