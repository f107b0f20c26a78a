#include "plugins/lib/nn/length_mask.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace fathom::nn {

LengthMask::LengthMask(at::Tensor lengths) : lengths_(std::move(lengths)) {
  if (lengths_.is_cpu()) {
    host_ = lengths_.to(at::kLong).contiguous();
    const int64_t* data = host_.const_data_ptr<int64_t>();
    if (host_.numel() > 0) shortest_ = *std::min_element(data, data + host_.numel());
  }
}

bool LengthMask::covers(int64_t width) const { return host_.defined() && shortest_ >= width; }

const at::Tensor& LengthMask::valid(int64_t width) {
  if (!valid_.defined() || valid_.size(-1) != width) {
    const at::Tensor time = at::arange(width, at::TensorOptions(at::kLong).device(lengths_.device()));
    valid_ = (time.unsqueeze(0) < lengths_.unsqueeze(1)).unsqueeze(1);
  }
  return valid_;
}

at::Tensor LengthMask::apply(const at::Tensor& x) {
  if (covers(x.size(-1))) return x;
  return at::where(valid(x.size(-1)), x, at::zeros({}, x.options()));
}

}  // namespace fathom::nn
