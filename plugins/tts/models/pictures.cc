#include "plugins/tts/models/pictures.h"

#include <ATen/ATen.h>

namespace fathom::tts {

at::Tensor picture_of(const at::Tensor& values) {
  const at::Tensor x = values.detach().to(at::kFloat);
  const at::Tensor low = x.min(), range = (x.max() - low).clamp_min(1e-9);
  return ((x - low) / range).flip(0);
}

}  // namespace fathom::tts
