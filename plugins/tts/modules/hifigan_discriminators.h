// The critics of HiFi-GAN (Kong et al. 2020, arXiv:2010.05646, 2.3): of the waveform folded by several periods, and of
// the waveform at several rates (MelGAN, Kumar et al. 2019, arXiv:1910.06711).
#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "plugins/tts/modules/normed_conv.h"

namespace fathom::tts {

// What one critic says of a batch of waveforms.
struct Judgement {
  at::Tensor score;                  // (B, T')
  std::vector<at::Tensor> features;  // after every layer, the last one's included
};
// What all critics of a kind say of real waveforms and of generated ones.
struct Judgements {
  std::vector<Judgement> real, fake;
};

// `small`: NeMo's `debug`, with few channels. State: convs.N.*, conv_post.*.
class PeriodDiscriminator : public torch::nn::Module {
 public:
  // VITS' critics have dropout, and may have spectral norms.
  PeriodDiscriminator(int64_t period, bool small, double dropout = 0, WeightNorm norm = WeightNorm::kLength);
  Judgement forward(at::Tensor audio);  // (B, 1, T)

 private:
  int64_t period_;
  double dropout_;
  std::vector<std::shared_ptr<NormedConv>> convs_;
  std::shared_ptr<NormedConv> post_;
};

class ScaleDiscriminator : public torch::nn::Module {
 public:
  ScaleDiscriminator(WeightNorm norm, bool small);
  Judgement forward(at::Tensor audio);  // (B, 1, T)

 private:
  std::vector<std::shared_ptr<NormedConv>> convs_;
  std::shared_ptr<NormedConv> post_;
};

// Periods 2, 3, 5, 7 and 11. State: discriminators.N.*.
class MultiPeriodDiscriminator : public torch::nn::Module {
 public:
  explicit MultiPeriodDiscriminator(bool small);
  Judgements forward(const at::Tensor& real, const at::Tensor& fake);

 private:
  std::vector<std::shared_ptr<PeriodDiscriminator>> critics_;
};

// The waveform, its half and its quarter rate; the first critic's norm is spectral. State: discriminators.N.*.
class MultiScaleDiscriminator : public torch::nn::Module {
 public:
  explicit MultiScaleDiscriminator(bool small);
  Judgements forward(at::Tensor real, at::Tensor fake);

 private:
  std::vector<std::shared_ptr<ScaleDiscriminator>> critics_;
};

}  // namespace fathom::tts
