#include "plugins/tts/losses/gan_losses.h"

#include <ATen/ATen.h>

namespace fathom::tts {

at::Tensor discriminator_loss(const Judgements& judgements) {
  at::Tensor loss = at::zeros({}, judgements.real[0].score.options());
  for (size_t i = 0; i < judgements.real.size(); ++i)
    loss = loss + ((1 - judgements.real[i].score).pow(2).mean() + judgements.fake[i].score.pow(2).mean());
  return loss;
}

at::Tensor generator_loss(const Judgements& judgements) {
  at::Tensor loss = at::zeros({}, judgements.fake[0].score.options());
  for (const Judgement& fake : judgements.fake) loss = loss + (1 - fake.score).pow(2).mean();
  return loss;
}

at::Tensor feature_matching_loss(const Judgements& judgements) {
  at::Tensor loss = at::zeros({}, judgements.fake[0].score.options());
  for (size_t i = 0; i < judgements.real.size(); ++i) {
    for (size_t k = 0; k < judgements.real[i].features.size(); ++k)
      loss = loss + (judgements.real[i].features[k] - judgements.fake[i].features[k]).abs().mean();
  }
  return loss * 2;
}

}  // namespace fathom::tts
