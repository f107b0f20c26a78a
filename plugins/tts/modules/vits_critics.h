// The critics of VITS: HiFi-GAN's of several periods, and one of the waveform as it is (Kim, Kong & Son 2021,
// arXiv:2106.06103, 2.5).
#pragma once

#include "plugins/tts/modules/hifigan_discriminators.h"

namespace fathom::tts {

// State: convs.N, conv_post.
class VitsScaleCritic : public torch::nn::Module {
 public:
  explicit VitsScaleCritic(WeightNorm norm);
  Judgement forward(at::Tensor audio);  // (B, 1, T)

 private:
  std::vector<std::shared_ptr<NormedConv>> convs_;
  std::shared_ptr<NormedConv> post_;
};

// The scale critic, then periods 2, 3, 5, 7 and 11. State: discriminators.N.
class VitsCritics : public torch::nn::Module {
 public:
  explicit VitsCritics(bool use_spectral_norm);
  std::vector<Judgement> judge(const at::Tensor& audio);  // (B, 1, T)

 private:
  std::shared_ptr<VitsScaleCritic> scale_;
  std::vector<std::shared_ptr<PeriodDiscriminator>> periods_;
};

}  // namespace fathom::tts
