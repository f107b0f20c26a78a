// Numbers recorded from NeMo for a signal that a formula gives, and what the modules promise besides.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "plugins/asr/losses/ctc_loss.h"
#include "plugins/asr/modules/audio_preprocessor.h"
#include "plugins/asr/modules/conv_asr_encoder.h"
#include "plugins/asr/modules/spec_augment.h"
#include "plugins/lib/audio/mel_features.h"

namespace fathom::asr {
namespace {

at::Tensor two_tones(int64_t samples = 16000) {
  at::Tensor x = at::zeros({1, samples});
  for (int64_t n = 0; n < samples; ++n) {
    const double t = static_cast<double>(n) / 16000;
    x[0][n] = 0.5 * std::sin(2 * M_PI * 440 * t) + 0.1 * std::sin(2 * M_PI * 3000 * t);
  }
  return x;
}

struct Features {
  at::Tensor x;
  int64_t length;
};
Features features(const Json& config, const at::Tensor& signal) {
  AudioToMelSpectrogramPreprocessor module(parse_options<AudioToMelSpectrogramPreprocessor::Options>(config, ""));
  module.eval();
  const Values out = module.forward({{"input_signal", signal}, {"length", at::tensor({signal.size(1)}, at::kLong)}});
  return {out.tensor("processed_signal"), out.tensor("processed_length").item<int64_t>()};
}
void expect_points(const Features& f, int64_t length, const std::vector<std::tuple<int64_t, int64_t, double>>& points) {
  EXPECT_EQ(f.length, length);
  for (const auto& [band, frame, value] : points)
    EXPECT_NEAR(f.x[0][band][frame].item<double>(), value, 2e-4) << band << "," << frame;
}

Json conformer(const char* front_end, const Json& normalize) {
  return {{"window_size", 0.025}, {"n_fft", 512},           {"features", 80},        {"dither", 0.0},
          {"pad_to", 0},          {"normalize", normalize}, {"front_end", front_end}};
}

TEST(FrontEnd, RecordedNumbers) {
  const at::Tensor x = two_tones();
  expect_points(features(conformer("nemo1", nullptr), x), 101,
                {{0, 0, -6.87450}, {0, 1, -11.82988}, {10, 50, .17635}, {79, 50, -16.63553}});
  expect_points(features(conformer("nemo1", "per_feature"), x), 101,
                {{0, 0, 5.12702}, {0, 1, 2.01460}, {10, 50, .06971}, {79, 50, -.18838}});
  expect_points(features(conformer("nemo3", nullptr), x), 100,
                {{0, 0, -8.00172}, {0, 1, -12.97405}, {10, 50, .17635}, {79, 50, -16.63553}});
  expect_points(features(conformer("nemo3", "per_feature"), x), 100,
                {{0, 0, 6.81433}, {0, 1, 2.08955}, {10, 50, .10001}, {79, 50, -.15824}});
  const Json quartznet = {{"n_fft", 512}, {"dither", 0.0}, {"front_end", "nemo1"}};
  const Features q = features(quartznet, x);
  expect_points(q, 101, {{0, 0, 5.92288}, {0, 1, -.04397}, {10, 50, .00816}, {63, 50, -.14045}});
  EXPECT_EQ(q.x.size(2), 112);
}

TEST(FrontEnd, Filters) {
  EXPECT_NEAR(audio::slaney_mel_filters(16000, 512, 80, 0, 8000, "slaney").sum().item<double>(), 2.5582609, 1e-5);
  EXPECT_NEAR(audio::make_window("hann", 400, false)[1].item<double>(), 6.1989e-05, 1e-8);
  const at::Tensor unit = audio::slaney_mel_filters(16000, 512, 20, 0, 8000, 2).square().sum(1);
  EXPECT_TRUE(at::allclose(unit, at::ones_like(unit)));
  const at::Tensor dct = audio::dct_matrix(16, 16, true);
  EXPECT_TRUE(at::allclose(dct.t().matmul(dct), at::eye(16), 1e-5, 1e-5));
}

TEST(FrontEnd, FrameCounts) {
  const auto frames = [](const char* front_end, int64_t samples) {
    AudioToMelSpectrogramPreprocessor module(
        parse_options<AudioToMelSpectrogramPreprocessor::Options>({{"n_fft", 512}, {"front_end", front_end}}, ""));
    return module.featurizer().frame_lengths(at::tensor({samples}, at::kLong)).item<int64_t>();
  };
  for (const auto& [samples, count] : {std::pair{159, 1}, {160, 2}, {320, 3}, {16000, 101}})
    EXPECT_EQ(frames("nemo1", samples), count);
  for (const auto& [samples, count] : {std::pair{0, 0}, {159, 0}, {160, 1}, {16000, 100}})
    EXPECT_EQ(frames("nemo3", samples), count);
}

TEST(FrontEnd, ABatchGivesWhatItsItemsGive) {
  const at::Tensor x = two_tones();
  AudioToMelSpectrogramPreprocessor module(
      parse_options<AudioToMelSpectrogramPreprocessor::Options>({{"n_fft", 512}, {"pad_to", 0}}, ""));
  module.eval();
  at::Tensor batch = at::cat({x, at::rand({1, 16000})});
  const Values out = module.forward({{"input_signal", batch}, {"length", at::tensor({5000, 16000}, at::kLong)}});
  const Values alone =
      module.forward({{"input_signal", x.narrow(1, 0, 5000)}, {"length", at::tensor({5000}, at::kLong)}});
  const int64_t frames = alone.tensor("processed_length").item<int64_t>();
  EXPECT_TRUE(at::allclose(out.tensor("processed_signal")[0].narrow(1, 0, frames),
                           alone.tensor("processed_signal")[0].narrow(1, 0, frames), 1e-4, 1e-4));
  EXPECT_EQ(out.tensor("processed_signal")[0].narrow(1, frames, 20).abs().max().item<double>(), 0);
}

TEST(FrontEnd, DitherOnlyInTrainingAndFromTheGenerator) {
  const at::Tensor x = two_tones(4000);
  AudioToMelSpectrogramPreprocessor module(
      parse_options<AudioToMelSpectrogramPreprocessor::Options>({{"dither", 0.01}, {"normalize", nullptr}}, ""));
  const auto run = [&] {
    return module.forward({{"input_signal", x}, {"length", at::tensor({4000}, at::kLong)}})
        .tensor("processed_signal")
        .clone();
  };
  module.eval();
  const at::Tensor clean = run();
  EXPECT_TRUE(at::equal(clean, run()));
  module.train();
  at::manual_seed(5);
  const at::Tensor noisy = run();
  EXPECT_FALSE(at::allclose(clean, noisy, 1e-3, 1e-3));
  at::manual_seed(5);
  EXPECT_TRUE(at::equal(noisy, run()));
}

TEST(FrontEnd, OptionsOutOfRange) {
  const auto make = [](const Json& config) {
    AudioToMelSpectrogramPreprocessor module(parse_options<AudioToMelSpectrogramPreprocessor::Options>(config, ""));
  };
  EXPECT_NO_THROW(
      make({{"window_size", false}, {"window_stride", nullptr}, {"n_window_size", 320}, {"n_window_stride", 160}}));
  EXPECT_THROW(make({{"n_window_size", 320}}), Error);  // both
  EXPECT_THROW(make({{"window", "kaiser"}}), Error);
  EXPECT_THROW(make({{"log_zero_guard_type", "max"}}), Error);
  EXPECT_THROW(make({{"log_zero_guard_value", "huge"}}), Error);
  EXPECT_THROW(make({{"n_fft", 256}}), Error);  // shorter than the window
  EXPECT_THROW(make({{"front_end", "nemo2"}}), Error);
  EXPECT_THROW(make({{"exact_pad", true}, {"window_stride", 0.0100625}}), Error);  // odd hop
}

TEST(SpecAugment, MasksFollowTheGenerator) {
  SpectrogramAugmentation::Options options;
  options.freq_masks = 2;
  options.time_masks = 2;
  options.freq_width = 6;
  options.time_width = 0.1;
  options.rect_masks = 3;
  options.mask_value = -7;
  SpectrogramAugmentation module(options);
  const at::Tensor x = at::ones({8, 40, 100}), length = at::full({8}, 100, at::kLong);
  const auto run = [&] { return module.forward({{"input_spec", x}, {"length", length}}).tensor("augmented_spec"); };
  at::manual_seed(1);
  const at::Tensor first = run(), second = run();
  at::manual_seed(1);
  EXPECT_TRUE(at::equal(first, run()));
  EXPECT_TRUE(at::equal(second, run()));
  EXPECT_FALSE(at::equal(first, second));
  EXPECT_TRUE(x.eq(1).all().item<bool>());  // the input is left alone
  EXPECT_GT(first.eq(-7).sum().item<int64_t>(), 0);
  EXPECT_GT(first.eq(0).sum().item<int64_t>(), 0);
  // No item may lose more than its masks' widths allow.
  const at::Tensor bands = first.eq(-7).all(2).sum(1), frames = first.eq(-7).all(1).sum(1);
  EXPECT_LE(bands.max().item<int64_t>(), 12);
  EXPECT_LE(frames.max().item<int64_t>(), 20);
}

TEST(SpecAugment, TimeWidthIsAShareOrFrames) {
  SpectrogramAugmentation::Options options;
  options.time_width = 1.5;
  EXPECT_THROW(SpectrogramAugmentation{options}, Error);
  options.time_width = "wide";
  EXPECT_THROW(SpectrogramAugmentation{options}, Error);
  options.time_width = 70;
  EXPECT_NO_THROW(SpectrogramAugmentation{options});
  options.rng = 7;
  EXPECT_THROW(SpectrogramAugmentation{options}, Error);
  EXPECT_NO_THROW(parse_options<SpectrogramAugmentation::Options>({{"rng", nullptr}}, "spec_augment"));
}

TEST(CtcLossModule, ReductionsAgreeWithEachOther) {
  const at::Tensor log_probs = at::log_softmax(at::randn({3, 20, 6}), -1),
                   targets = at::randint(0, 5, {3, 4}, at::kLong);
  const at::Tensor frames = at::tensor({20, 15, 18}, at::kLong), lengths = at::tensor({4, 2, 3}, at::kLong);
  const auto loss = [&](const char* reduction) {
    CTCLoss module(CTCLoss::Options{5, true, reduction});
    return module
        .forward(
            {{"log_probs", log_probs}, {"targets", targets}, {"input_lengths", frames}, {"target_lengths", lengths}})
        .tensor("loss");
  };
  const at::Tensor items = loss("none");
  EXPECT_EQ(items.sizes(), (std::vector<int64_t>{3}));
  EXPECT_TRUE(at::allclose(loss("sum"), items.sum()));
  EXPECT_TRUE(at::allclose(loss("mean_batch"), items.mean()));
  EXPECT_TRUE(at::allclose(loss("mean_volume"), items.sum() / 9));
  EXPECT_TRUE(at::allclose(loss("mean"), (items / lengths).mean()));
  EXPECT_THROW(CTCLoss(CTCLoss::Options{5, true, "median"}), Error);
}

Json layer(int64_t filters, int64_t kernel, int64_t stride, int64_t repeat, bool residual) {
  return {{"filters", filters}, {"kernel", {kernel}}, {"stride", {stride}},   {"dilation", {1}},
          {"repeat", repeat},   {"dropout", 0.0},     {"residual", residual}, {"separable", true}};
}
std::shared_ptr<ConvASREncoder> encoder(const Json& jasper, const Json& extra = Json::object()) {
  Json config = {{"feat_in", 8}, {"activation", "relu"}, {"jasper", jasper}};
  config.update(extra);
  return std::make_shared<ConvASREncoder>(parse_options<ConvASREncoder::Options>(config, ""));
}

TEST(ConvEncoder, LengthsAndPaddingInvariance) {
  const auto module =
      encoder(Json::array({layer(12, 11, 2, 1, false), layer(12, 13, 1, 3, true), layer(16, 1, 1, 1, false)}));
  EXPECT_EQ(module->properties()["subsampling_factor"], 2);
  module->eval();
  const at::Tensor x = at::randn({2, 8, 131});
  const Values out = module->forward({{"audio_signal", x}, {"length", at::tensor({131, 60}, at::kLong)}});
  EXPECT_TRUE(at::equal(out.tensor("encoded_lengths"), at::tensor({66, 30}, at::kLong)));
  const Values alone =
      module->forward({{"audio_signal", x.narrow(0, 1, 1).narrow(2, 0, 60)}, {"length", at::tensor({60}, at::kLong)}});
  EXPECT_TRUE(at::allclose(out.tensor("outputs")[1].narrow(1, 0, 30), alone.tensor("outputs")[0], 1e-4, 1e-5));
}

TEST(ConvEncoder, StrideLastAndStrideEveryRepeat) {
  Json block = layer(8, 7, 2, 3, false);
  const at::Tensor x = at::randn({1, 8, 131}), length = at::tensor({131}, at::kLong);
  EXPECT_EQ(encoder(Json::array({block}))->forward({{"audio_signal", x}, {"length", length}}).tensor("outputs").size(2),
            17);
  block["stride_last"] = true;
  EXPECT_EQ(encoder(Json::array({block}))->forward({{"audio_signal", x}, {"length", length}}).tensor("outputs").size(2),
            66);
}

// Where NeMo makes a convolution without heads or does not count its padding, a model has to look alike.
TEST(ConvEncoder, WhatNemoPassesOver) {
  Json shared = layer(8, 7, 1, 1, false);
  shared["heads"] = 4;
  const auto filters = [&](const Json& extra) {
    return encoder(Json::array({shared}), extra)->parameters()[0].size(0);
  };
  EXPECT_EQ(filters(Json::object()), 4);
  EXPECT_EQ(filters({{"conv_mask", false}}), 8) << "only masked convolutions have heads";
  shared["separable"] = false;
  EXPECT_EQ(filters(Json::object()), 8) << "only depthwise ones have";

  Json one = layer(8, 1, 1, 2, false);
  one["dilation"] = {2};
  one["future_context"] = 0;
  one["separable"] = false;
  const Values out = encoder(Json::array({one}))
                         ->forward({{"audio_signal", at::randn({1, 8, 20})}, {"length", at::tensor({15}, at::kLong)}});
  EXPECT_EQ(out.tensor("outputs").size(2), 22);
  EXPECT_EQ(out.tensor("encoded_lengths").item<int64_t>(), 15);
}

TEST(ConvEncoder, BadOptions) {
  Json block = layer(8, 7, 2, 1, false);
  block["dilation"] = {2};
  EXPECT_THROW(encoder(Json::array({block})), Error);
  EXPECT_THROW(encoder(Json::array({layer(8, 7, 1, 1, false)}), {{"activation", "tanhh"}}), Error);
  EXPECT_THROW(encoder(Json::array({layer(8, 7, 1, 1, false)}), {{"init_mode", "zeros"}}), Error);
  EXPECT_THROW(encoder(Json::array()), Error);
  EXPECT_EQ(scaled_kernel_size(33, 0.25), 9);
  EXPECT_EQ(scaled_kernel_size(1, 0.1), 1);
  EXPECT_EQ(conv_padding(7, 1, 1, 1), (std::pair<int64_t, int64_t>{5, 1}));
}

}  // namespace
}  // namespace fathom::asr
