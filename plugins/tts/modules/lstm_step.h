// One step of an LSTM (Hochreiter & Schmidhuber 1997) after its products: for decoders that run a frame at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace fathom::tts {

// gates (B, 4H) in torch's order i, f, g, o before their functions, cell (B, H) -> hidden, cell. One node of the
// autograd graph. Not differentiable twice.
std::pair<at::Tensor, at::Tensor> lstm_step(const at::Tensor& gates, const at::Tensor& cell);

}  // namespace fathom::tts
