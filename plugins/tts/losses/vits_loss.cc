#include "plugins/tts/losses/vits_loss.h"

#include <ATen/ATen.h>

namespace fathom::tts {

at::Tensor kl_loss(const at::Tensor& z_p, const at::Tensor& posterior_log_scale, const at::Tensor& prior_mean,
                   const at::Tensor& prior_log_scale, const at::Tensor& mask) {
  const at::Tensor kl =
      prior_log_scale - posterior_log_scale - 0.5 + 0.5 * (z_p - prior_mean).pow(2) * at::exp(-2 * prior_log_scale);
  return (kl * mask).sum() / mask.sum();
}

}  // namespace fathom::tts
