// Tensors as pictures, for the loggers that take them.
#pragma once

#include <ATen/core/Tensor.h>

namespace fathom::tts {

// (D, T) -> the same from 0 to 1, the first row at the bottom.
at::Tensor picture_of(const at::Tensor& values);

}  // namespace fathom::tts
