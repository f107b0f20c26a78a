// The least-squares losses of HiFi-GAN (Kong et al. 2020, arXiv:2010.05646, 2.4), each a scalar.
#pragma once

#include "plugins/tts/modules/hifigan_discriminators.h"

namespace fathom::tts {

// Sum over critics of mean((1 - D(y))^2) + mean(D(G(s))^2).
at::Tensor discriminator_loss(const Judgements& judgements);
// Sum over critics of mean((1 - D(G(s)))^2).
at::Tensor generator_loss(const Judgements& judgements);
// Twice the sum over critics and layers of the mean distance of the features.
at::Tensor feature_matching_loss(const Judgements& judgements);

}  // namespace fathom::tts
