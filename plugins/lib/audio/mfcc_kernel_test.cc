#include "plugins/lib/audio/mfcc_kernel.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "plugins/lib/audio/mel_features.h"

namespace fathom::audio {
namespace {

std::vector<float> floats_of(const at::Tensor& given) {
  const at::Tensor plain = given.to(at::kFloat).contiguous();
  return {plain.const_data_ptr<float>(), plain.const_data_ptr<float>() + plain.numel()};
}

// Against the same in double, tensor by tensor.
TEST(MfccKernel, IsTheCepstrumOfEachFrame) {
  for (const int64_t n_fft : {32, 64, 128, 512, 1024}) {  // with and without a last pass of two
    for (const int64_t frames : {1, 5, 16, 37}) {
      at::manual_seed(n_fft + frames);
      const int64_t hop = n_fft / 3, bands = 20, coefficients = 19;
      const at::Tensor x = at::randn({1, (frames - 1) * hop + n_fft}), window = at::hann_window(n_fft);
      const at::Tensor filters =
          htk_mel_filters(16000, n_fft, bands, 20, 8000) + 1e-3 * at::rand({n_fft / 2 + 1, bands});
      const at::Tensor cosines = dct_matrix(bands, coefficients, true);
      const MfccKernel kernel(
          {n_fft, hop, bands, coefficients, floats_of(window), floats_of(filters), floats_of(cosines), 1e-6F});
      at::Tensor got = at::empty({coefficients, frames});
      std::vector<float> scratch(static_cast<size_t>(kernel.scratch()));
      for (int64_t first = 0; first < frames; first += kMfccLanes) {
        kernel.run(x.const_data_ptr<float>(), first, std::min(kMfccLanes, frames - first),
                   got.mutable_data_ptr<float>(), frames, scratch.data());
      }
      const at::Tensor cut = x.to(at::kDouble).unfold(1, n_fft, hop)[0] * window.to(at::kDouble);
      const at::Tensor power = at::fft_rfft(cut).abs().square();
      const at::Tensor expected =
          at::matmul(at::log(at::matmul(power, filters.to(at::kDouble)) + 1e-6), cosines.to(at::kDouble)).t();
      EXPECT_LT((got - expected).abs().max().item<double>(), 2e-5) << n_fft << " " << frames;
    }
  }
}

// Silence, and what is nearly that: the logarithm's argument is the offset.
TEST(MfccKernel, SilenceIsTheOffset) {
  const int64_t n_fft = 64;
  const at::Tensor filters = htk_mel_filters(16000, n_fft, 4, 0, 8000);
  const MfccKernel kernel(
      {n_fft, 32, 4, 4, floats_of(at::hann_window(n_fft)), floats_of(filters), floats_of(at::eye(4)), 1e-6F});
  std::vector<float> x(256, 0), out(4 * 4), scratch(static_cast<size_t>(kernel.scratch()));
  kernel.run(x.data(), 0, 4, out.data(), 4, scratch.data());
  for (const float value : out) EXPECT_NEAR(value, std::log(1e-6), 2e-6);
}

// A sample that is no number is heard in the frames that hold it, and in no other.
TEST(MfccKernel, WhatIsNoNumberStaysSo) {
  const int64_t n_fft = 64, hop = 64, frames = 5;
  const MfccKernel kernel({n_fft, hop, 4, 3, floats_of(at::hann_window(n_fft)),
                           floats_of(htk_mel_filters(16000, n_fft, 4, 0, 8000)), floats_of(dct_matrix(4, 3, true)),
                           1e-6F});
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> x(static_cast<size_t>(n_fft * frames), 0.1F), out(3 * frames),
        scratch(static_cast<size_t>(kernel.scratch()));
    x[2 * n_fft + 20] = bad;
    kernel.run(x.data(), 0, frames, out.data(), frames, scratch.data());
    for (size_t i = 0; i < out.size(); ++i)
      EXPECT_EQ(std::isfinite(out[i]), i % frames != 2) << bad << " " << i << " " << out[i];
  }
}

}  // namespace
}  // namespace fathom::audio
