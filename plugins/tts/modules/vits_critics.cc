#include "plugins/tts/modules/vits_critics.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

namespace fathom::tts {
namespace {

constexpr double kPeriodDropout = 0.3, kScaleSlope = 0.1;

}  // namespace

VitsScaleCritic::VitsScaleCritic(WeightNorm norm) {
  auto convs = register_module("convs", torch::nn::ModuleList());
  const auto conv = [&](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups) {
    return std::make_shared<NormedConv>(NormedConvOptions{.in = in,
                                                          .out = out,
                                                          .kernel = {kernel},
                                                          .stride = {stride},
                                                          .padding = {kernel / 2},
                                                          .groups = groups,
                                                          .norm = norm});
  };
  convs_ = {conv(1, 16, 15, 1, 1),      conv(16, 64, 41, 4, 4),       conv(64, 256, 41, 4, 16),
            conv(256, 1024, 41, 4, 64), conv(1024, 1024, 41, 4, 256), conv(1024, 1024, 5, 1, 1)};
  for (const auto& one : convs_) convs->push_back(one);
  post_ = register_module("conv_post", conv(1024, 1, 3, 1, 1));
}

Judgement VitsScaleCritic::forward(at::Tensor audio) {
  Judgement out;
  for (const auto& conv : convs_) {
    audio = at::leaky_relu(conv->forward(audio), kScaleSlope);
    out.features.push_back(audio);
  }
  audio = post_->forward(audio);
  out.features.push_back(audio);
  out.score = audio.flatten(1);
  return out;
}

VitsCritics::VitsCritics(bool use_spectral_norm) {
  const WeightNorm norm = use_spectral_norm ? WeightNorm::kSpectral : WeightNorm::kLength;
  auto list = register_module("discriminators", torch::nn::ModuleList());
  scale_ = std::make_shared<VitsScaleCritic>(norm);
  list->push_back(scale_);
  for (const int64_t period : {2, 3, 5, 7, 11}) {
    periods_.push_back(std::make_shared<PeriodDiscriminator>(period, /*small=*/false, kPeriodDropout, norm));
    list->push_back(periods_.back());
  }
}

std::vector<Judgement> VitsCritics::judge(const at::Tensor& audio) {
  std::vector<Judgement> out = {scale_->forward(audio)};
  for (const auto& critic : periods_) out.push_back(critic->forward(audio));
  return out;
}

}  // namespace fathom::tts
