// Spectral front-end arithmetic: windows, mel filters, short-time power spectra, normalisation. Plain functions on
// tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "fathom/support.h"

namespace fathom::audio {

// hann, hamming, blackman, bartlett, or ones for "ones", "none" and nullopt; float32 (length). Unknown names are
// errors.
at::Tensor make_window(const std::optional<std::string>& name, int64_t length, bool periodic);

// Slaney's mel scale (Auditory Toolbox: linear below 1 kHz, logarithmic above) as librosa has it: (bands, n_fft / 2 +
// 1) float32. norm: "slaney" (each filter has area 1 in Hz), null (peaks of 1) or a number p (each filter has p-norm
// 1).
at::Tensor slaney_mel_filters(double sample_rate, int64_t n_fft, int64_t bands, double low_hz, double high_hz,
                              const Json& norm);
// The HTK scale as torchaudio has it, peaks of 1: (n_fft / 2 + 1, bands) float32.
at::Tensor htk_mel_filters(double sample_rate, int64_t n_fft, int64_t bands, double low_hz, double high_hz);
// DCT-II as torchaudio has it: (inputs, outputs) float32.
at::Tensor dct_matrix(int64_t inputs, int64_t outputs, bool ortho);

// |STFT|^2 or, with `magnitude`, |STFT|: x (B, S) float32 -> (B, frames, n_fft / 2 + 1). Windows shorter than n_fft sit
// in its middle. x is already padded: frame i starts at sample i * hop.
struct StftOptions {
  int64_t n_fft = 0, hop = 0;
  bool magnitude = false;
  double sqrt_guard = 0;  // added under the root, so that gradients exist at 0
};
at::Tensor spectrum(const at::Tensor& x, const at::Tensor& window, const StftOptions& options);

// x (B, D, T), lengths (B) int64. The unbiased deviation plus 1e-5, as NeMo; one frame: deviation 0.
at::Tensor normalize_per_feature(const at::Tensor& x, const at::Tensor& lengths);
at::Tensor normalize_all_features(const at::Tensor& x, const at::Tensor& lengths);

}  // namespace fathom::audio
