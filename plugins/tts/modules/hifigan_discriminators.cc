#include "plugins/tts/modules/hifigan_discriminators.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include "fathom/error.h"

namespace fathom::tts {
namespace {

constexpr double kCriticSlope = 0.1;

Judgement judge(at::Tensor x, const std::vector<std::shared_ptr<NormedConv>>& convs, NormedConv& post,
                double dropout = 0) {
  Judgement out;
  for (const auto& conv : convs) {
    x = conv->forward(x);
    if (dropout > 0) x = at::dropout(x, dropout, /*train=*/true);
    x = at::leaky_relu(x, kCriticSlope);
    out.features.push_back(x);
  }
  x = post.forward(x);
  out.features.push_back(x);
  out.score = x.flatten(1);
  return out;
}

}  // namespace

PeriodDiscriminator::PeriodDiscriminator(int64_t period, bool small, double dropout, WeightNorm norm)
    : period_(period), dropout_(dropout) {
  const std::vector<int64_t> channels =
      small ? std::vector<int64_t>{1, 8, 12, 32, 64, 64} : std::vector<int64_t>{1, 32, 128, 512, 1024, 1024};
  torch::nn::ModuleList convs = register_module("convs", torch::nn::ModuleList());
  for (size_t i = 0; i + 1 < channels.size(); ++i) {
    convs_.push_back(std::make_shared<NormedConv>(NormedConvOptions{.in = channels[i],
                                                                    .out = channels[i + 1],
                                                                    .kernel = {5, 1},
                                                                    .stride = {i + 2 < channels.size() ? 3 : 1, 1},
                                                                    .padding = {2, 0},
                                                                    .norm = norm}));
    convs->push_back(convs_.back());
  }
  post_ = register_module("conv_post",
                          std::make_shared<NormedConv>(NormedConvOptions{
                              .in = channels.back(), .out = 1, .kernel = {3, 1}, .padding = {1, 0}, .norm = norm}));
}

Judgement PeriodDiscriminator::forward(at::Tensor audio) {
  if (const int64_t rest = audio.size(2) % period_; rest != 0) {
    if (audio.size(2) <= period_ - rest) {
      throw Error(Code::kBadData, "the audio is too short to be judged")
          .seen(std::to_string(audio.size(2)) + " samples")
          .expected("more than " + std::to_string(period_ - rest))
          .next("raise n_segments");
    }
    audio = at::reflection_pad1d(audio, {0, period_ - rest});
  }
  return judge(audio.view({audio.size(0), audio.size(1), audio.size(2) / period_, period_}), convs_, *post_,
               is_training() ? dropout_ : 0);
}

ScaleDiscriminator::ScaleDiscriminator(WeightNorm norm, bool small) {
  const std::vector<int64_t> width =
      small ? std::vector<int64_t>{16, 32, 32, 64} : std::vector<int64_t>{128, 256, 512, 1024};
  torch::nn::ModuleList convs = register_module("convs", torch::nn::ModuleList());
  const auto add = [&](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups) {
    convs_.push_back(std::make_shared<NormedConv>(NormedConvOptions{.in = in,
                                                                    .out = out,
                                                                    .kernel = {kernel},
                                                                    .stride = {stride},
                                                                    .padding = {kernel / 2},
                                                                    .groups = groups,
                                                                    .norm = norm}));
    convs->push_back(convs_.back());
  };
  add(1, width[0], 15, 1, 1);
  add(width[0], width[0], 41, 2, 4);
  add(width[0], width[1], 41, 2, 16);
  add(width[1], width[2], 41, 4, 16);
  add(width[2], width[3], 41, 4, 16);
  add(width[3], width[3], 41, 1, 16);
  add(width[3], width[3], 5, 1, 1);
  post_ = register_module("conv_post", std::make_shared<NormedConv>(NormedConvOptions{
                                           .in = width[3], .out = 1, .kernel = {3}, .padding = {1}, .norm = norm}));
}

Judgement ScaleDiscriminator::forward(at::Tensor audio) { return judge(std::move(audio), convs_, *post_); }

MultiPeriodDiscriminator::MultiPeriodDiscriminator(bool small) {
  torch::nn::ModuleList list = register_module("discriminators", torch::nn::ModuleList());
  for (const int64_t period : {2, 3, 5, 7, 11}) {
    critics_.push_back(std::make_shared<PeriodDiscriminator>(period, small));
    list->push_back(critics_.back());
  }
}

Judgements MultiPeriodDiscriminator::forward(const at::Tensor& real, const at::Tensor& fake) {
  Judgements out;
  for (const auto& critic : critics_) {
    out.real.push_back(critic->forward(real));
    out.fake.push_back(critic->forward(fake));
  }
  return out;
}

MultiScaleDiscriminator::MultiScaleDiscriminator(bool small) {
  torch::nn::ModuleList list = register_module("discriminators", torch::nn::ModuleList());
  for (const WeightNorm norm : {WeightNorm::kSpectral, WeightNorm::kLength, WeightNorm::kLength}) {
    critics_.push_back(std::make_shared<ScaleDiscriminator>(norm, small));
    list->push_back(critics_.back());
  }
}

Judgements MultiScaleDiscriminator::forward(at::Tensor real, at::Tensor fake) {
  Judgements out;
  for (size_t i = 0; i < critics_.size(); ++i) {
    if (i > 0) {
      real = at::avg_pool1d(real, 4, 2, 2);
      fake = at::avg_pool1d(fake, 4, 2, 2);
    }
    out.real.push_back(critics_[i]->forward(real));
    out.fake.push_back(critics_[i]->forward(fake));
  }
  return out;
}

}  // namespace fathom::tts
