// Mel cepstra of sixteen frames at a time, one a lane: windows, a Fourier transform by radix 4 (Stockham's, which needs
// no reordering), the power in triangles, its logarithm and a cosine transform, without a tensor between them. What
// torchaudio's MFCC computes, in float32 and in another order: some 1e-6 of a coefficient apart. Uses no torch;
// thread-safe once made.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::audio {

constexpr int64_t kMfccLanes = 16;

class MfccKernel {
 public:
  struct Plan {
    int64_t n_fft = 0, hop = 0, bands = 0, coefficients = 0;
    std::vector<float> window;   // (n_fft)
    std::vector<float> filters;  // (n_fft / 2 + 1, bands)
    std::vector<float> cosines;  // (bands, coefficients)
    float offset = 0;            // added before the logarithm
  };
  // Powers of two from 32 on.
  static bool takes(int64_t n_fft) { return n_fft >= 32 && n_fft <= (1 << 16) && (n_fft & (n_fft - 1)) == 0; }
  explicit MfccKernel(const Plan& plan);
  // Floats that run() needs.
  int64_t scratch() const;
  // Frames `first` to `first` + `count` (at most kMfccLanes) of x, which holds whole frames for all of them, to
  // out[coefficient · stride + frame].
  void run(const float* x, int64_t first, int64_t count, float* out, int64_t stride, float* scratch) const;

 private:
  Plan plan_;
  std::vector<float> twiddles_;  // of each pass: three complex factors for each of its butterflies
  std::vector<float> halves_;    // e^(-2πik / n_fft), k < n_fft / 2
  struct Band {
    int64_t first, count, weights;
  };
  std::vector<Band> bands_;
  std::vector<float> weights_;
};

}  // namespace fathom::audio
