#include "plugins/lib/nn/positional_encoding.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "fathom/error.h"

namespace fathom::nn {

at::Tensor sinusoids(int64_t first, int64_t step, int64_t count, int64_t width) {
  if (width % 2 != 0 || width < 2)
    throw Error(Code::kFailed, "sinusoidal positions need an even width").seen(std::to_string(width));
  // Computed in float32 throughout, as trained models saw them.
  const at::Tensor position = (at::arange(count, at::kFloat) * step + first).unsqueeze(1);
  const at::Tensor rate =
      at::exp(at::arange(0, width, 2, at::kFloat) * (-std::log(10000.0) / static_cast<double>(width)));
  const at::Tensor angle = position * rate;
  return at::stack({angle.sin(), angle.cos()}, 2).flatten(1);
}

at::Tensor PositionTable::rows(int64_t length, const at::TensorOptions& options) {
  const bool fits = table_.defined() && length_ >= length && table_.scalar_type() == options.dtype().toScalarType() &&
                    table_.device() == options.device();
  if (!fits) {
    // A table made in inference mode could not take part in training later.
    const c10::InferenceMode normal_tensors(false);
    const at::NoGradGuard no_grad;
    length_ = std::max(length, length_);
    if (length_ <= capacity_) length_ = std::min(capacity_, std::max<int64_t>(2 * length_, 64));
    const at::Tensor table = kind_ == Kind::kRelative ? sinusoids(length_ - 1, -1, 2 * length_ - 1, width_)
                                                      : sinusoids(0, 1, length_, width_);
    table_ = table.to(options).unsqueeze(0);
  }
  return kind_ == Kind::kRelative ? table_.slice(1, length_ - length, length_ + length - 1)
                                  : table_.slice(1, 0, length);
}

}  // namespace fathom::nn
