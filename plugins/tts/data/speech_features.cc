#include "plugins/tts/data/speech_features.h"

#include <ATen/ATen.h>

#include <limits>

#include "plugins/lib/audio/mel_features.h"
#include "plugins/lib/option_range.h"

namespace fathom::tts {

void SpeechFeatureOptions::describe(OptionSet<SpeechFeatureOptions>& o) {
  using Options = SpeechFeatureOptions;
  o.required("sample_rate", &Options::sample_rate, "all audio is resampled to this rate", "Hz").example(22050);
  o("n_fft", &Options::n_fft, "length of the Fourier transforms", "samples");
  o("win_length", &Options::win_length, "length of a frame; null: n_fft", "samples");
  o("hop_length", &Options::hop_length, "from frame to frame; null: a quarter of n_fft", "samples");
  o("window", &Options::window, "hann, hamming, blackman, bartlett or none");
  o("n_mels", &Options::n_mels, "mel bands of log_mel");
  o("lowfreq", &Options::lowfreq, "where the lowest mel band begins", "Hz");
  o("highfreq", &Options::highfreq, "where the highest mel band ends; null: half the sample rate", "Hz");
  o("pitch_fmin", &Options::pitch_fmin, "lowest pitch that is looked for", "Hz");
  o("pitch_fmax", &Options::pitch_fmax, "highest pitch that is looked for", "Hz");
  o("pitch_method", &Options::pitch_method, "pyin (as NeMo), or autocorrelation: faster and rougher");
}

SpeechFeatures::SpeechFeatures(const SpeechFeatureOptions& o)
    : options_(o),
      hop_(o.hop_length.value_or(o.n_fft / 4)),
      method_(audio::parse_pitch_method(o.pitch_method, "pitch_method")) {
  check_range("sample_rate", o.sample_rate, 1, 768'000);
  check_range("n_fft", o.n_fft, 16, 1 << 20);
  const int64_t window = o.win_length.value_or(o.n_fft);
  check_range("win_length", window, 4, o.n_fft);
  check_range("hop_length", hop_, 1, 1 << 20);
  check_range("n_mels", o.n_mels, 1, 4096);
  const double high = o.highfreq.value_or(static_cast<double>(o.sample_rate) / 2);
  if (!(o.lowfreq >= 0) || !(high > o.lowfreq) || high > static_cast<double>(o.sample_rate) / 2) {
    throw Error(Code::kFailed, "mel bands lie between lowfreq and highfreq, up to half the sample rate")
        .at(o.highfreq ? "highfreq" : "lowfreq")
        .seen(std::to_string(o.lowfreq) + " to " + std::to_string(high) + " Hz at " + std::to_string(o.sample_rate) +
              " Hz");
  }
  window_ = audio::make_window(o.window, window, /*periodic=*/false);
  filters_ =
      audio::slaney_mel_filters(static_cast<double>(o.sample_rate), o.n_fft, o.n_mels, o.lowfreq, high, "slaney");
  pitch_ = {static_cast<double>(o.sample_rate), o.pitch_fmin, o.pitch_fmax, window, window / 4};
}

at::Tensor SpeechFeatures::spectrum(const at::Tensor& audio, const std::string& where) const {
  if (audio.size(0) <= options_.n_fft / 2) {
    throw Error(Code::kBadData, "audio is too short for a spectrum")
        .at(where)
        .seen(std::to_string(audio.size(0)) + " samples")
        .expected("more than n_fft / 2 = " + std::to_string(options_.n_fft / 2))
        .next("set min_duration, or leave the line out");
  }
  const at::Tensor padded =
      at::reflection_pad1d(audio.view({1, 1, -1}), {options_.n_fft / 2, options_.n_fft / 2}).squeeze(0);
  return audio::spectrum(padded, window_, {.n_fft = options_.n_fft, .hop = hop_, .magnitude = true, .sqrt_guard = 1e-9})
      .squeeze(0)
      .t();
}

at::Tensor SpeechFeatures::log_mel(const at::Tensor& audio, const std::string& where) const {
  return at::matmul(filters_, spectrum(audio, where)).clamp_min(std::numeric_limits<float>::min()).log();
}

at::Tensor SpeechFeatures::energy(const at::Tensor& audio, const std::string& where) const {
  return at::linalg_vector_norm(spectrum(audio, where), 2, at::IntArrayRef{0});
}

ClipPitch SpeechFeatures::pitch(const at::Tensor& audio) const {
  const at::Tensor samples = audio.contiguous();
  const audio::PitchTrack track =
      audio::track_pitch({samples.const_data_ptr<float>(), static_cast<size_t>(samples.numel())}, pitch_, method_);
  return {at::tensor(track.f0), at::tensor(track.voiced), at::tensor(track.p_voiced)};
}

}  // namespace fathom::tts
