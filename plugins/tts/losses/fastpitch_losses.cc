#include "plugins/tts/losses/fastpitch_losses.h"

#include <ATen/ATen.h>

namespace fathom::tts {
namespace {

// (B, most) of zeros and ones in `like`'s type.
at::Tensor mask_of(const at::Tensor& lengths, int64_t most, const at::Tensor& like) {
  return (at::arange(most, lengths.options()).unsqueeze(0) < lengths.unsqueeze(1)).to(like.scalar_type());
}

// Computed in single precision at least, in double where the model is.
at::Tensor wide(const at::Tensor& x) { return c10::elementSize(x.scalar_type()) < 4 ? x.to(at::kFloat) : x; }

}  // namespace

at::Tensor mel_loss(const at::Tensor& predicted, const at::Tensor& target) {
  const at::Tensor made = at::constant_pad_nd(predicted, {0, target.size(2) - predicted.size(2)});
  const at::Tensor fixed = target.detach();
  const at::Tensor mask = fixed.ne(0).to(made.scalar_type());
  return (at::mse_loss(made, fixed, at::Reduction::None) * mask).sum() / mask.sum();
}

at::Tensor token_loss(const at::Tensor& predicted, const at::Tensor& target, const at::Tensor& lengths) {
  const at::Tensor made = at::constant_pad_nd(predicted, {0, target.size(1) - predicted.size(1)});
  const at::Tensor mask = mask_of(lengths, target.size(1), made);
  return (at::mse_loss(target, made, at::Reduction::None) * mask).sum() / mask.sum();
}

at::Tensor duration_loss(const at::Tensor& log_predicted, const at::Tensor& durations, const at::Tensor& lengths) {
  const at::Tensor target = at::log(durations.to(wide(log_predicted).scalar_type()) + 1);
  return token_loss(log_predicted, target, lengths);
}

at::Tensor forward_sum_loss(const at::Tensor& attn_logprob, const at::Tensor& in_lens, const at::Tensor& out_lens) {
  // (T, B, 1 + S): the blank comes first.
  at::Tensor scores = at::constant_pad_nd(wide(attn_logprob).squeeze(1).permute({1, 0, 2}), {1, 0}, -1);
  const at::Tensor place = at::arange(scores.size(2), in_lens.options());
  scores = scores.masked_fill(place.view({1, 1, -1}) > in_lens.view({1, -1, 1}), -1e15);
  const at::Tensor targets = place.slice(0, 1).unsqueeze(0).repeat({in_lens.numel(), 1});
  return at::ctc_loss(at::log_softmax(scores, -1), targets, out_lens, in_lens, /*blank=*/0, at::Reduction::Mean,
                      /*zero_infinity=*/true);
}

at::Tensor bin_loss(const at::Tensor& hard_attention, const at::Tensor& soft_attention) {
  const at::Tensor along = soft_attention.masked_select(hard_attention.eq(1));
  return -at::log(along.clamp_min(1e-12)).sum() / hard_attention.sum();
}

}  // namespace fathom::tts
