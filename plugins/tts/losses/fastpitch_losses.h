// What FastPitch is trained by (Lancucki 2020, arXiv:2006.06873; the alignment's: Badlani et al. 2021,
// arXiv:2108.10447). Each is a scalar without its weight.
#pragma once

#include <ATen/core/Tensor.h>

namespace fathom::tts {

// Mean square over the elements of the target (B, D, T) that are not zero: padding is known by its value. A prediction
// that is shorter counts as followed by zeros; what is longer is cut, as NeMo's padding by a negative number does.
at::Tensor mel_loss(const at::Tensor& predicted, const at::Tensor& target);
// Mean square of predicted (B, S) and target (B, S) over the first `lengths` (B) tokens of each item.
at::Tensor token_loss(const at::Tensor& predicted, const at::Tensor& target, const at::Tensor& lengths);
// The same for predicted logarithms of durations: log(1 + d).
at::Tensor duration_loss(const at::Tensor& log_predicted, const at::Tensor& durations, const at::Tensor& lengths);
// -log of the sum over all monotonic paths, as CTC over the tokens in order with a blank of log-score -1 before them:
// attn_logprob (B, 1, T, S), in_lens (B) tokens, out_lens (B) frames. Mean over items of the cost a token.
at::Tensor forward_sum_loss(const at::Tensor& attn_logprob, const at::Tensor& in_lens, const at::Tensor& out_lens);
// -log of the soft attention along the hard path, a frame: both (B, 1, T, S).
at::Tensor bin_loss(const at::Tensor& hard_attention, const at::Tensor& soft_attention);

}  // namespace fathom::tts
