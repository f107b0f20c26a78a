// What VITS is trained by besides the losses of its critics (gan_losses.h).
#pragma once

#include <ATen/core/Tensor.h>

namespace fathom::tts {

// How far the posterior is from the prior (Kim, Kong & Son 2021, arXiv:2106.06103, eq. 4), a frame: z_p, posterior and
// prior (B, C, T), mask (B, 1, T).
at::Tensor kl_loss(const at::Tensor& z_p, const at::Tensor& posterior_log_scale, const at::Tensor& prior_mean,
                   const at::Tensor& prior_log_scale, const at::Tensor& mask);

}  // namespace fathom::tts
