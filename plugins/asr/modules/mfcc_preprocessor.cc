#include "plugins/asr/modules/mfcc_preprocessor.h"

#include <ATen/ATen.h>

#include <cmath>

#include "plugins/asr/modules/audio_preprocessor.h"
#include "plugins/asr/option_range.h"
#include "plugins/lib/audio/mel_features.h"

namespace fathom::asr {
namespace {

constexpr double kLogOffset = 1e-6, kDecibelFloor = 1e-10, kTopDecibel = 80;

Ports mfcc_inputs(int64_t sample_rate) {
  return {{"input_signal", {"B T", AudioSignal{sample_rate}}}, {"length", {"B", LengthsType{}}}};
}
Ports mfcc_outputs() {
  return {{"processed_signal", {"B D T", MFCCSpectrogramType{}}}, {"processed_length", {"B", LengthsType{}}}};
}

}  // namespace

void AudioToMFCCPreprocessor::Options::describe(OptionSet<Options>& o) {
  o("sample_rate", &Options::sample_rate, "sampling rate of the audio", "Hz");
  o("window_size", &Options::window_size, "window length; null: n_window_size", "s");
  o("window_stride", &Options::window_stride, "step between frames; null: n_window_stride", "s");
  o("n_window_size", &Options::n_window_size, "window length", "samples");
  o("n_window_stride", &Options::n_window_stride, "step between frames", "samples");
  o("window", &Options::window, "hann, hamming, blackman, bartlett, ones, none or null");
  o("n_fft", &Options::n_fft, "length of the transform; null: the power of two that holds the window", "samples");
  o("lowfreq", &Options::lowfreq, "lower edge of the mel filters", "Hz");
  o("highfreq", &Options::highfreq, "upper edge of the mel filters; null: half the sampling rate", "Hz");
  o("n_mels", &Options::n_mels, "mel bands");
  o("n_mfcc", &Options::n_mfcc, "coefficients kept");
  o("dct_type", &Options::dct_type, "only 2");
  o("norm", &Options::norm, "ortho, or null for the unscaled transform");
  o("log", &Options::log, "logarithm of the mel energies; otherwise decibels");
}

AudioToMFCCPreprocessor::AudioToMFCCPreprocessor(const Options& o) : sample_rate_(o.sample_rate), log_(o.log) {
  check_range("sample_rate", o.sample_rate, 1, kHighestRate);
  std::tie(win_length_, hop_length_) =
      window_samples(o.sample_rate, o.window_size, o.window_stride, o.n_window_size, o.n_window_stride);
  n_fft_ = transform_length(o.n_fft, win_length_, hop_length_);
  if (o.dct_type != 2)
    throw Error(Code::kFailed, "only the DCT of type 2 is supported").at("dct_type").seen(std::to_string(o.dct_type));
  if (o.norm && *o.norm != "ortho")
    throw Error(Code::kFailed, "unknown norm").at("norm").seen(*o.norm).expected("ortho or null");
  if (o.n_mfcc < 1 || o.n_mfcc > o.n_mels) {
    throw Error(Code::kFailed, "cannot select more coefficients than there are mel bands")
        .at("n_mfcc")
        .seen(std::to_string(o.n_mfcc))
        .expected("1 to n_mels = " + std::to_string(o.n_mels));
  }
  const double high = o.highfreq.value_or(0) > 0 ? *o.highfreq : std::floor(static_cast<double>(o.sample_rate) / 2);
  if (high <= o.lowfreq)
    throw Error(Code::kFailed, "highfreq must be above lowfreq").at("highfreq").seen(std::to_string(high));

  // The nesting is torchaudio's: state dicts depend on it.
  const auto featurizer = register_module("featurizer", std::make_shared<torch::nn::Module>("MFCC"));
  dct_ = featurizer->register_buffer("dct_mat", audio::dct_matrix(o.n_mels, o.n_mfcc, o.norm.has_value()));
  const auto mel = featurizer->register_module("MelSpectrogram", std::make_shared<torch::nn::Module>("MelSpectrogram"));
  const auto spectrogram = mel->register_module("spectrogram", std::make_shared<torch::nn::Module>("Spectrogram"));
  window_ = spectrogram->register_buffer("window", audio::make_window(o.window, win_length_, /*periodic=*/true));
  const auto mel_scale = mel->register_module("mel_scale", std::make_shared<torch::nn::Module>("MelScale"));
  filters_ = mel_scale->register_buffer(
      "fb", audio::htk_mel_filters(static_cast<double>(o.sample_rate), n_fft_, o.n_mels, o.lowfreq, high));
}

Ports AudioToMFCCPreprocessor::inputs() const { return mfcc_inputs(sample_rate_); }
Ports AudioToMFCCPreprocessor::outputs() const { return mfcc_outputs(); }
void AudioToMFCCPreprocessor::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(mfcc_inputs(Options{}.sample_rate));
  schema["outputs"] = ports_json(mfcc_outputs());
}

Values AudioToMFCCPreprocessor::forward(const Values& in) {
  const at::NoGradGuard no_grad;
  const at::Tensor signal = in.tensor("input_signal").to(at::kFloat);
  const int64_t edge = n_fft_ / 2;
  if (signal.size(1) <= edge) {
    throw Error(Code::kBadData, "audio is too short to reflect its edges")
        .seen(std::to_string(signal.size(1)) + " samples")
        .expected("more than " + std::to_string(edge))
        .next("set min_duration");
  }
  const at::Tensor power = audio::spectrum(at::reflection_pad1d(signal, {edge, edge}), window_.to(at::kFloat),
                                           {n_fft_, hop_length_, false, 0});
  at::Tensor mel = at::matmul(power, filters_.to(at::kFloat));
  if (log_) {
    mel = at::log(mel + kLogOffset);
  } else {
    mel = at::log10(mel.clamp_min(kDecibelFloor)) * 10.0;
    mel = at::maximum(mel, mel.max() - kTopDecibel);
  }
  const at::Tensor cepstrum = at::matmul(mel, dct_.to(at::kFloat)).transpose(1, 2).contiguous();
  const at::Tensor lengths =
      at::ceil(in.tensor("length").to(at::kDouble) / static_cast<double>(hop_length_)).to(at::kLong);
  return {{"processed_signal", cepstrum.to(filters_.scalar_type())}, {"processed_length", lengths}};
}

Values AudioToMFCCPreprocessor::input_example() const {
  return {{"input_signal", at::rand({1, sample_rate_}) * 2 - 1}, {"length", at::full({1}, sample_rate_, at::kLong)}};
}

}  // namespace fathom::asr
