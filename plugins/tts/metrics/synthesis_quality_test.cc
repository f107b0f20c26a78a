#include "plugins/tts/metrics/synthesis_quality.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "fathom/error.h"

namespace fathom::tts {
namespace {

// A voice of so many Hz with falling harmonics.
at::Tensor voice(double hertz, double seconds, int64_t rate) {
  const at::Tensor time =
      at::arange(static_cast<int64_t>(seconds * static_cast<double>(rate)), at::kFloat) / static_cast<double>(rate);
  at::Tensor sum = at::zeros_like(time);
  for (int harmonic = 1; harmonic <= 8; ++harmonic)
    sum += (time * (2 * std::numbers::pi * hertz * harmonic)).sin() / harmonic;
  return sum * 0.2;
}

TEST(SynthesisQuality, TheSameIsNoDistanceAway) {
  const at::Tensor speech = voice(150, 1, 16000);
  const SynthesisQuality same = compare_speech(speech, speech, 16000);
  EXPECT_EQ(same.mel_cepstral_distortion, 0);
  EXPECT_EQ(same.f0_rmse, 0);
  EXPECT_EQ(same.voicing_error, 0);
  EXPECT_EQ(same.duration_ratio, 1);
  // Loudness is not what is compared.
  const at::Tensor noise = at::randn({16000}, at::detail::createCPUGenerator(1)) * 0.1;
  EXPECT_NEAR(compare_speech(noise, noise * 0.5, 16000).mel_cepstral_distortion, 0, 0.01);
}

TEST(SynthesisQuality, ADistanceIsOfDecibels) {
  // 6 dB less from 2 kHz on: half of the spectrum differs by 6 dB from the other half's.
  const at::Tensor noise = at::randn({16000}, at::detail::createCPUGenerator(3)) * 0.1;
  at::Tensor spectrum = at::fft_rfft(noise);
  spectrum = at::cat({spectrum.slice(0, 0, 2000), spectrum.slice(0, 2000) * 0.5012});
  const double distance = compare_speech(noise, at::fft_irfft(spectrum, 16000), 16000).mel_cepstral_distortion;
  // The root of the mean square of a step of 6 dB about its mean is 3 dB.
  EXPECT_NEAR(distance, 3, 0.6);
}

TEST(SynthesisQuality, PitchIsInHertzAndVoicingAShare) {
  const SynthesisQuality other = compare_speech(voice(150, 1, 16000), voice(160, 1, 16000), 16000);
  EXPECT_NEAR(other.f0_rmse, 10, 1);
  EXPECT_EQ(other.gross_pitch_error, 0);
  EXPECT_EQ(compare_speech(voice(150, 1, 16000), voice(200, 1, 16000), 16000).gross_pitch_error, 1);
  const SynthesisQuality mute = compare_speech(voice(150, 1, 16000), at::zeros({16000}), 16000);
  EXPECT_TRUE(std::isnan(mute.f0_rmse));
  EXPECT_GT(mute.voicing_error, 0.9);
  EXPECT_TRUE(mute.json()["f0_rmse"].is_null());
}

TEST(SynthesisQuality, WhatIsTooShortOrTooLongIsRefused) {
  EXPECT_THROW(compare_speech(at::zeros({100}), at::zeros({16000}), 16000), Error);
  EXPECT_THROW(compare_speech(at::zeros({16000}), at::zeros({16000 * 121}), 16000), Error);
}

}  // namespace
}  // namespace fathom::tts
