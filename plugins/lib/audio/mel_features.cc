#include "plugins/lib/audio/mel_features.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace fathom::audio {
namespace {

constexpr double kDeviationGuard = 1e-5;
constexpr double kLinearStep = 200.0 / 3.0, kLogStartHz = 1000.0, kLogStartMel = kLogStartHz / kLinearStep;
const double kLogStep = std::log(6.4) / 27.0;

double slaney_mel(double hz) {
  return hz >= kLogStartHz ? kLogStartMel + std::log(hz / kLogStartHz) / kLogStep : hz / kLinearStep;
}
double slaney_hz(double mel) {
  return mel >= kLogStartMel ? kLogStartHz * std::exp(kLogStep * (mel - kLogStartMel)) : kLinearStep * mel;
}
double htk_mel(double hz) { return 2595.0 * std::log10(1.0 + hz / 700.0); }
double htk_hz(double mel) { return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0); }

// The corners of the triangles, evenly spaced on the scale.
template <typename ToMel, typename ToHz>
std::vector<double> corners(int64_t bands, double low_hz, double high_hz, ToMel&& to_mel, ToHz&& to_hz) {
  const double low = to_mel(low_hz), high = to_mel(high_hz);
  std::vector<double> hz(bands + 2);
  for (int64_t i = 0; i < bands + 2; ++i) {
    hz[i] = to_hz(i == bands + 1 ? high : low + (high - low) / static_cast<double>(bands + 1) * static_cast<double>(i));
  }
  return hz;
}

double triangle(const std::vector<double>& hz, int64_t band, double at) {
  const double rise = (at - hz[band]) / (hz[band + 1] - hz[band]);
  const double fall = (hz[band + 2] - at) / (hz[band + 2] - hz[band + 1]);
  return std::max(0.0, std::min(rise, fall));
}

}  // namespace

at::Tensor make_window(const std::optional<std::string>& name, int64_t length, bool periodic) {
  if (!name || *name == "none" || *name == "ones") return at::ones({length});
  if (*name == "hann") return at::hann_window(length, periodic);
  if (*name == "hamming") return at::hamming_window(length, periodic);
  if (*name == "blackman") return at::blackman_window(length, periodic);
  if (*name == "bartlett") return at::bartlett_window(length, periodic);
  throw Error(Code::kFailed, "unknown window")
      .at("window")
      .seen(*name)
      .expected("hann, hamming, blackman, bartlett, ones or none");
}

at::Tensor slaney_mel_filters(double sample_rate, int64_t n_fft, int64_t bands, double low_hz, double high_hz,
                              const Json& norm) {
  const bool slaney = norm.is_string() && norm.get<std::string>() == "slaney";
  if (!slaney && !norm.is_null() && !norm.is_number()) {
    throw Error(Code::kFailed, "unknown mel_norm")
        .at("mel_norm")
        .seen(json_text(norm))
        .expected("slaney, null or a number");
  }
  const int64_t bins = n_fft / 2 + 1;
  at::Tensor filters = at::zeros({bands, bins});  // first: its allocation is bounded
  const auto hz = corners(bands, low_hz, high_hz, slaney_mel, slaney_hz);
  auto weight = filters.accessor<float, 2>();
  for (int64_t m = 0; m < bands; ++m) {
    for (int64_t f = 0; f < bins; ++f) {
      weight[m][f] =
          static_cast<float>(triangle(hz, m, static_cast<double>(f) * sample_rate / static_cast<double>(n_fft)));
      if (slaney) weight[m][f] = static_cast<float>(weight[m][f] * (2.0 / (hz[m + 2] - hz[m])));
    }
  }
  if (!norm.is_number()) return filters;
  const at::Tensor size = at::linalg_vector_norm(filters, norm.get<double>(), at::IntArrayRef{1}, true);
  return at::where(size > 0, filters / size, filters);
}

at::Tensor htk_mel_filters(double sample_rate, int64_t n_fft, int64_t bands, double low_hz, double high_hz) {
  const int64_t bins = n_fft / 2 + 1;
  at::Tensor filters = at::zeros({bins, bands});
  const auto hz = corners(bands, low_hz, high_hz, htk_mel, htk_hz);
  auto weight = filters.accessor<float, 2>();
  const double top = std::floor(sample_rate / 2);
  for (int64_t f = 0; f < bins; ++f) {
    const double at = top * static_cast<double>(f) / static_cast<double>(bins - 1);
    for (int64_t m = 0; m < bands; ++m) weight[f][m] = static_cast<float>(triangle(hz, m, at));
  }
  return filters;
}

at::Tensor dct_matrix(int64_t inputs, int64_t outputs, bool ortho) {
  at::Tensor matrix = at::zeros({inputs, outputs});
  auto value = matrix.accessor<float, 2>();
  const auto n_inputs = static_cast<double>(inputs);
  for (int64_t n = 0; n < inputs; ++n) {
    for (int64_t k = 0; k < outputs; ++k) {
      double v = std::cos(M_PI / n_inputs * (static_cast<double>(n) + 0.5) * static_cast<double>(k));
      if (!ortho)
        v *= 2;
      else
        v *= std::sqrt(2.0 / n_inputs) * (k == 0 ? std::sqrt(0.5) : 1.0);
      value[n][k] = static_cast<float>(v);
    }
  }
  return matrix;
}

at::Tensor spectrum(const at::Tensor& x, const at::Tensor& window, const StftOptions& o) {
  const int64_t win = window.size(0);
  if (win > o.n_fft) {
    throw Error(Code::kFailed, "the window is longer than n_fft")
        .seen(std::to_string(win) + " > " + std::to_string(o.n_fft));
  }
  if (x.size(1) < o.n_fft) {
    throw Error(Code::kFailed, "audio is too short for one frame")
        .seen(std::to_string(x.size(1)) + " samples with padding")
        .expected("at least " + std::to_string(o.n_fft));
  }
  const int64_t frames = (x.size(1) - o.n_fft) / o.hop + 1;
  // The window stands in the middle of n_fft samples. Its place changes the phase alone, but also the rounding, which
  // in near-silent bins a logarithm makes visible.
  const int64_t left = (o.n_fft - win) / 2;
  const at::Tensor weights = win == o.n_fft ? window : at::constant_pad_nd(window, {left, o.n_fft - win - left});
  const at::Tensor cut = x.narrow(1, 0, (frames - 1) * o.hop + o.n_fft).unfold(1, o.n_fft, o.hop);
  const at::Tensor bins = at::view_as_real(at::fft_rfft(cut * weights));
  const at::Tensor re = bins.select(-1, 0), im = bins.select(-1, 1);
  // With gradients rounded as NeMo rounds: whoever trains against a sign of them sees the last bit.
  at::Tensor power = o.sqrt_guard > 0 ? re * re + im * im + o.sqrt_guard : at::addcmul(re * re, im, im);
  return o.magnitude ? power.sqrt() : power;
}

at::Tensor normalize_per_feature(const at::Tensor& x, const at::Tensor& lengths) {
  const int64_t frames = x.size(2);
  const at::Tensor valid = (at::arange(frames, lengths.options()).unsqueeze(0) < lengths.unsqueeze(1)).unsqueeze(1);
  const at::Tensor count = lengths.clamp(0, frames).to(x.scalar_type()).unsqueeze(1);
  const at::Tensor zero = at::zeros({}, x.options());
  const at::Tensor mean = at::where(valid, x, zero).sum(2) / count;
  const at::Tensor centred = x - mean.unsqueeze(2);
  const at::Tensor squares = at::where(valid, centred, zero).square().sum(2);
  at::Tensor deviation = (squares / (count - 1)).sqrt();
  deviation = at::where(deviation.isnan(), zero, deviation) + kDeviationGuard;
  return centred / deviation.unsqueeze(2);
}

at::Tensor normalize_all_features(const at::Tensor& x, const at::Tensor& lengths) {
  std::vector<at::Tensor> items;
  const at::Tensor host = lengths.to(at::kCPU).contiguous();
  for (int64_t i = 0; i < x.size(0); ++i) {
    const at::Tensor item = x.select(0, i),
                     seen = item.narrow(1, 0, std::min(host.const_data_ptr<int64_t>()[i], x.size(2)));
    items.push_back((item - seen.mean()) / (seen.std() + kDeviationGuard));
  }
  return at::stack(items);
}

}  // namespace fathom::audio
