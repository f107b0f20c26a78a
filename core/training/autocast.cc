#include "core/training/autocast.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

namespace fathom::training {

Autocast::Autocast(Precision precision) : on_(precision == Precision::kBf16Mixed || precision == Precision::k16Mixed) {
  if (!on_) return;
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, precision == Precision::k16Mixed ? at::kHalf : at::kBFloat16);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!on_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCPU, false);
}

Values to_precision(const Values& batch, Precision precision) {
  if (precision != Precision::k64True && precision != Precision::kBf16True) return batch;
  const auto dtype = precision == Precision::k64True ? at::kDouble : at::kBFloat16;
  Values out;
  for (const auto& [name, value] : batch) {
    Value converted = value;
    if (value.is_tensor() && value.tensor().is_floating_point()) converted.set_tensor(value.tensor().to(dtype));
    out.add(name, std::move(converted));
  }
  return out;
}

}  // namespace fathom::training
