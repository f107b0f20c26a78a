#include "plugins/asr/modules/mfcc_preprocessor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
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
  const at::Tensor lengths =
      at::ceil(in.tensor("length").to(at::kDouble) / static_cast<double>(hop_length_)).to(at::kLong);
  // As with all kernels of our own, libtorch's operators compute where oneDNN is switched off.
  const bool own = at::globalContext().userEnabledMkldnn();
  if (own && log_ && signal.device().is_cpu() && audio::MfccKernel::takes(n_fft_)) {
    return {{"processed_signal", cepstra_of(signal.contiguous()).to(filters_.scalar_type())},
            {"processed_length", lengths}};
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
  return {{"processed_signal", cepstrum.to(filters_.scalar_type())}, {"processed_length", lengths}};
}

const audio::MfccKernel& AudioToMFCCPreprocessor::kernel() {
  const std::array<at::Tensor, 3> now = {window_.detach().to(at::kFloat), filters_.detach().to(at::kFloat),
                                         dct_.detach().to(at::kFloat)};
  bool same = kernel_ != nullptr;
  for (size_t i = 0; i < now.size(); ++i) same = same && at::equal(now[i], made_of_[i]);
  if (same) return *kernel_;
  const auto floats = [](const at::Tensor& given) {
    const at::Tensor plain = given.contiguous();
    return std::vector<float>(plain.const_data_ptr<float>(), plain.const_data_ptr<float>() + plain.numel());
  };
  audio::MfccKernel::Plan plan{n_fft_, hop_length_,    filters_.size(1), dct_.size(1),
                               {},     floats(now[1]), floats(now[2]),   static_cast<float>(kLogOffset)};
  // The window stands in the middle of the transform.
  const int64_t left = (n_fft_ - win_length_) / 2;
  plan.window.assign(static_cast<size_t>(n_fft_), 0);
  std::copy_n(now[0].contiguous().const_data_ptr<float>(), win_length_, plan.window.begin() + left);
  kernel_ = std::make_unique<audio::MfccKernel>(plan);
  for (size_t i = 0; i < now.size(); ++i) made_of_[i] = now[i].clone();
  return *kernel_;
}

// signal (B, S) -> (B, coefficients, frames), the edges reflected.
at::Tensor AudioToMFCCPreprocessor::cepstra_of(const at::Tensor& signal) {
  const audio::MfccKernel& kernel = this->kernel();
  const int64_t samples = signal.size(1), edge = n_fft_ / 2, frames = samples / hop_length_ + 1;
  at::Tensor out = at::empty({signal.size(0), dct_.size(1), frames}, signal.options());
  const auto* from = signal.const_data_ptr<float>();
  auto* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, signal.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> padded(static_cast<size_t>(samples + 2 * edge)), scratch(static_cast<size_t>(kernel.scratch()));
    for (int64_t item = begin; item < end; ++item) {
      const float* x = from + item * samples;
      for (int64_t i = 0; i < edge; ++i) {
        padded[static_cast<size_t>(i)] = x[edge - i];
        padded[static_cast<size_t>(edge + samples + i)] = x[samples - 2 - i];
      }
      std::copy_n(x, samples, padded.begin() + edge);
      for (int64_t first = 0; first < frames; first += audio::kMfccLanes) {
        kernel.run(padded.data(), first, std::min(audio::kMfccLanes, frames - first), to + item * out.size(1) * frames,
                   frames, scratch.data());
      }
    }
  });
  return out;
}

Values AudioToMFCCPreprocessor::input_example() const {
  return {{"input_signal", at::rand({1, sample_rate_}) * 2 - 1}, {"length", at::full({1}, sample_rate_, at::kLong)}};
}

}  // namespace fathom::asr
