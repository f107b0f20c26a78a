// What Tacotron 2 is trained by (Shen et al. 2018, arXiv:1712.05884), as NeMo counts it.
#pragma once

#include <ATen/core/Tensor.h>

namespace fathom::tts {

struct Tacotron2Losses {
  at::Tensor loss;          // the sum, a scalar
  at::Tensor mel, postnet;  // mean squares over all elements, those behind the items' ends included
  at::Tensor gate;          // cross-entropy of the gates
  at::Tensor gate_target;   // (B, T)
};

// Spectrograms (B, D, T'), gate (B, T') logits, target (B, D, T) with target_len (B). A prediction that is longer than
// the target is cut, a shorter one goes on with `pad_value` and open gates; the same is put behind each item's end. The
// gate's target is 1 from an item's last frame on. NeMo fills the predictions in place, which the post-net's gradients
// see; here they do not.
Tacotron2Losses tacotron2_loss(const at::Tensor& mel, const at::Tensor& postnet, const at::Tensor& gate,
                               const at::Tensor& target, const at::Tensor& target_len, double pad_value);

}  // namespace fathom::tts
