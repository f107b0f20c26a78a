#include "plugins/tts/metrics/synthesis_quality.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "fathom/error.h"
#include "plugins/lib/audio/mel_features.h"
#include "plugins/lib/audio/pitch.h"
#include "plugins/tts/metrics/frame_alignment.h"

namespace fathom::tts {
namespace {

constexpr double kWindow = 0.064, kHop = 0.016, kLongest = 120;  // s
constexpr int64_t kBands = 80, kCepstra = 13;
constexpr double kGross = 0.2;

// (T, kCepstra)
at::Tensor cepstra_of(const at::Tensor& audio, int64_t rate, int64_t window, int64_t hop) {
  const at::Tensor padded = at::constant_pad_nd(audio.unsqueeze(0), {window / 2, window / 2});
  const at::Tensor hann = audio::make_window("hann", window, /*periodic=*/true);
  const at::Tensor power = audio::spectrum(padded, hann, {window, hop, /*magnitude=*/false});
  const at::Tensor filters =
      audio::slaney_mel_filters(static_cast<double>(rate), window, kBands, 0, static_cast<double>(rate) / 2, "slaney");
  const at::Tensor log_amplitude = at::log(at::matmul(power[0], filters.t()) + 1e-10) / 2;
  // An orthonormal transform's coefficients as those of a series of cosines.
  const double scale = std::sqrt(2.0 / static_cast<double>(kBands));
  return (at::matmul(log_amplitude, audio::dct_matrix(kBands, kCepstra + 1, /*ortho=*/true)) * scale)
      .slice(1, 1)
      .contiguous();
}

std::vector<float> pitch_of(const at::Tensor& audio, int64_t rate, int64_t window, int64_t hop) {
  audio::PitchOptions options;
  options.sample_rate = static_cast<double>(rate);
  options.fmin = 60;
  options.fmax = 500;
  options.frame_length = window;
  options.hop_length = hop;
  const at::Tensor plain = audio.contiguous();
  return audio::pyin({plain.const_data_ptr<float>(), static_cast<size_t>(plain.numel())}, options).f0;
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace

Json SynthesisQuality::json() const {
  return {{"mcd", number(mel_cepstral_distortion)},
          {"f0_rmse", number(f0_rmse)},
          {"gross_pitch_error", number(gross_pitch_error)},
          {"voicing_error", number(voicing_error)},
          {"duration_ratio", number(duration_ratio)}};
}

SynthesisQuality compare_speech(const at::Tensor& recording, const at::Tensor& synthesis, int64_t rate) {
  const auto window = static_cast<int64_t>(kWindow * static_cast<double>(rate)) / 2 * 2;
  const auto hop = static_cast<int64_t>(kHop * static_cast<double>(rate));
  for (const at::Tensor* audio : {&recording, &synthesis}) {
    const double seconds = static_cast<double>(audio->numel()) / static_cast<double>(rate);
    if (audio->numel() >= window && seconds <= kLongest) continue;
    throw Error(Code::kBadData, "audio of this length cannot be compared")
        .seen(std::to_string(seconds) + " s")
        .expected("0.064 s to two minutes");
  }
  const at::Tensor a = cepstra_of(recording, rate, window, hop), b = cepstra_of(synthesis, rate, window, hop);
  const at::Tensor distance = at::cdist(a, b, 2, /*compute_mode=*/2).contiguous();  // no products: equal is zero
  const auto path = align_frames(distance.const_data_ptr<float>(), distance.size(0), distance.size(1));
  const std::vector<float> f0_a = pitch_of(recording, rate, window, hop), f0_b = pitch_of(synthesis, rate, window, hop);
  SynthesisQuality out;
  double distances = 0, squares = 0, gross = 0, both = 0, either = 0;
  const auto at_frame = [](const std::vector<float>& f0, int64_t frame) {
    return f0.empty() ? 0.0f : f0[std::min(static_cast<size_t>(frame), f0.size() - 1)];
  };
  for (const auto& [i, j] : path) {
    distances += distance.const_data_ptr<float>()[i * distance.size(1) + j];
    const double x = at_frame(f0_a, i), y = at_frame(f0_b, j);
    if ((x > 0) != (y > 0)) ++either;
    if (x <= 0 || y <= 0) continue;
    ++both;
    squares += (x - y) * (x - y);
    if (std::abs(y - x) > kGross * x) ++gross;
  }
  const auto frames = static_cast<double>(path.size());
  out.mel_cepstral_distortion = 10 * std::numbers::sqrt2 / std::numbers::ln10 * distances / frames;
  out.f0_rmse = both > 0 ? std::sqrt(squares / both) : std::nan("");
  out.gross_pitch_error = both > 0 ? gross / both : std::nan("");
  out.voicing_error = either / frames;
  out.duration_ratio = static_cast<double>(synthesis.numel()) / static_cast<double>(recording.numel());
  return out;
}

}  // namespace fathom::tts
