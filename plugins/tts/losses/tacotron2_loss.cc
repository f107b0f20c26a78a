#include "plugins/tts/losses/tacotron2_loss.h"

#include <ATen/ATen.h>

namespace fathom::tts {
namespace {

constexpr double kOpen = 1e3;  // the logit of a gate that is surely open

at::Tensor fitted(const at::Tensor& x, int64_t length, double value) {
  const int64_t dim = x.dim() - 1;
  if (x.size(dim) > length) return x.narrow(dim, 0, length);
  return x.size(dim) == length ? x : at::constant_pad_nd(x, {0, length - x.size(dim)}, value);
}

}  // namespace

Tacotron2Losses tacotron2_loss(const at::Tensor& mel, const at::Tensor& postnet, const at::Tensor& gate,
                               const at::Tensor& target, const at::Tensor& target_len, double pad_value) {
  const int64_t length = target.size(2);
  const at::Tensor frame = at::arange(length, target_len.options()).unsqueeze(0), ends = target_len.unsqueeze(1);
  const at::Tensor beyond = frame >= ends, columns = beyond.unsqueeze(1);
  Tacotron2Losses out;
  out.gate_target = (frame >= ends - 1).to(gate.scalar_type());
  out.mel = at::mse_loss(fitted(mel, length, pad_value).masked_fill(columns, pad_value), target);
  out.postnet = at::mse_loss(fitted(postnet, length, pad_value).masked_fill(columns, pad_value), target);
  out.gate =
      at::binary_cross_entropy_with_logits(fitted(gate, length, kOpen).masked_fill(beyond, kOpen), out.gate_target);
  out.loss = out.mel + out.postnet + out.gate;
  return out;
}

}  // namespace fathom::tts
