#include "plugins/lib/audio/pitch.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "fathom/error.h"
#include "plugins/lib/audio/pitch_frames.h"

namespace fathom::audio {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& seen, const std::string& expected) {
  throw Error(Code::kFailed, what).seen(seen).expected(expected);
}
std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

}  // namespace

PitchFrames::PitchFrames(std::span<const float> audio, const PitchOptions& o)
    : length(o.frame_length), hop(o.hop_length > 0 ? o.hop_length : o.frame_length / 4) {
  if (!(o.sample_rate > 0)) refuse("a sample rate must be positive", number(o.sample_rate), "Hz");
  if (!(o.fmin > 0) || !(o.fmin < o.fmax))
    refuse("pitch_fmin must be positive and below pitch_fmax", number(o.fmin) + " and " + number(o.fmax) + " Hz",
           "such as 65.4 and 2093");
  if (o.fmax > o.sample_rate / 2)
    refuse("pitch_fmax lies above half the sample rate", number(o.fmax) + " Hz at " + number(o.sample_rate) + " Hz",
           "at most " + number(o.sample_rate / 2));
  if (length < 4 || hop < 1 || o.sample_rate / o.fmin >= static_cast<double>(length - 1)) {
    refuse(
        "a frame is too short for one period of pitch_fmin",
        std::to_string(length) + " samples at " + number(o.sample_rate) + " Hz, pitch_fmin " + number(o.fmin) + " Hz",
        "win_length (else n_fft) of at least " + number(std::ceil(o.sample_rate / o.fmin) + 2) + " samples");
  }
  if (audio.empty()) throw Error(Code::kBadData, "audio without samples has no pitch");
  min_period = static_cast<int64_t>(std::floor(o.sample_rate / o.fmax));
  max_period = std::min(static_cast<int64_t>(std::ceil(o.sample_rate / o.fmin)), length - 1);
  padded.assign(audio.size() + 2 * static_cast<size_t>(length / 2), 0.0F);
  std::copy(audio.begin(), audio.end(), padded.begin() + length / 2);
}

int64_t PitchFrames::count() const {
  const auto samples = static_cast<int64_t>(padded.size());
  return samples < length ? 0 : 1 + (samples - length) / hop;
}

void autocorrelate(const float* x, int64_t length, std::vector<double>& sums) {
  const auto lags = static_cast<int64_t>(sums.size());
  std::fill(sums.begin(), sums.end(), 0.0);
  double* out = sums.data();
  // Four samples at a time: the sums are loaded and stored a quarter as often.
  int64_t i = 0;
  for (; i + 3 + lags <= length; i += 4) {
    const double a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
    if (a == 0 && b == 0 && c == 0 && d == 0) continue;
    for (int64_t k = 0; k < lags; ++k)
      out[k] += (a * x[i + k] + b * x[i + k + 1]) + (c * x[i + k + 2] + d * x[i + k + 3]);
  }
  for (; i < length; ++i) {
    const double a = x[i];
    const int64_t last = std::min(lags, length - i);
    for (int64_t k = 0; k < last; ++k) out[k] += a * x[i + k];
  }
}

PitchMethod parse_pitch_method(const std::string& name, const std::string& where) {
  if (name == "pyin") return PitchMethod::kPyin;
  if (name == "autocorrelation") return PitchMethod::kAutocorrelation;
  throw Error(Code::kFailed, "there is no such way to find the pitch")
      .at(where)
      .seen(name)
      .expected("pyin (librosa's, as NeMo) or autocorrelation (several times faster, rougher)");
}

PitchTrack autocorrelation_pitch(std::span<const float> audio, const PitchOptions& options) {
  constexpr double kVoiced = 0.6;       // a frame whose best peak is lower is unvoiced
  constexpr double kOctaveCost = 0.02;  // per octave: of peaks of like height the one of the shortest period
  constexpr double kSilence = 1e-3;     // frames whose level is this far below the loudest one's are silent
  const PitchFrames frames(audio, options);
  const int64_t count = frames.count(), lags = frames.max_period + 2;
  PitchTrack out;
  out.f0.assign(static_cast<size_t>(count), 0.0F);
  out.voiced = out.p_voiced = out.f0;

  std::vector<double> level(static_cast<size_t>(count));
  double loudest = 0;
  for (int64_t t = 0; t < count; ++t) {
    const float* x = frames.frame(t);
    double sum = 0;
    for (int64_t i = 0; i < frames.length; ++i) sum += static_cast<double>(x[i]) * x[i];
    loudest = std::max(loudest, level[t] = sum);
  }
  std::vector<double> sums(static_cast<size_t>(std::min(lags, frames.length))), height(sums.size());
  for (int64_t t = 0; t < count; ++t) {
    if (level[t] <= loudest * kSilence * kSilence) continue;
    const float* x = frames.frame(t);
    autocorrelate(x, frames.length, sums);
    // Each lag by the energies of the two parts that overlap, so that long periods are not put at a disadvantage.
    double head = level[t], tail = level[t];
    for (size_t k = 0; k < sums.size(); ++k) {
      const double energy = head * tail;
      height[k] = energy > 0 ? sums[k] / std::sqrt(energy) : 0;
      const double last = x[frames.length - 1 - static_cast<int64_t>(k)], first = x[k];
      head = std::max(head - last * last, 0.0);
      tail = std::max(tail - first * first, 0.0);
    }
    double best = -1, period = 0, peak = 0;
    for (auto k = static_cast<size_t>(std::max<int64_t>(frames.min_period, 1)); k + 1 < height.size(); ++k) {
      if (height[k] < height[k - 1] || height[k] <= height[k + 1]) continue;
      const double bend = height[k - 1] - 2 * height[k] + height[k + 1];
      const double shift = bend < 0 ? (height[k - 1] - height[k + 1]) / (2 * bend) : 0;
      const double at = static_cast<double>(k) + shift;
      const double top = height[k] - (height[k - 1] - height[k + 1]) * shift / 4;
      const double score =
          top - kOctaveCost * std::log2(at / static_cast<double>(std::max<int64_t>(frames.min_period, 1)));
      if (score > best) best = score, period = at, peak = top;
    }
    out.p_voiced[t] = static_cast<float>(std::clamp(peak, 0.0, 1.0));
    const double f0 = period > 0 ? options.sample_rate / period : 0;
    if (peak < kVoiced || f0 < options.fmin || f0 > options.fmax) continue;
    out.voiced[t] = 1;
    out.f0[t] = static_cast<float>(f0);
  }
  return out;
}

PitchTrack track_pitch(std::span<const float> audio, const PitchOptions& options, PitchMethod method) {
  return method == PitchMethod::kPyin ? pyin(audio, options) : autocorrelation_pitch(audio, options);
}

}  // namespace fathom::audio
