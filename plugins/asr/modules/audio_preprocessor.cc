#include "plugins/asr/modules/audio_preprocessor.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plugins/asr/option_range.h"
#include "plugins/lib/audio/mel_features.h"

namespace fathom::asr {
namespace {

constexpr double kGradientGuard = 1e-5;
// Far beyond any recipe; together with kMostFrames they keep an item's features at what a machine has.
constexpr int64_t kMostSamples = 1 << 24, kMostFeatures = 1 << 16, kMostPadding = 1 << 24, kMostOverlap = 1024;

Ports mel_inputs(int64_t sample_rate) {
  return {{"input_signal", {"B T", AudioSignal{sample_rate}}}, {"length", {"B", LengthsType{}}}};
}
Ports mel_outputs() {
  return {{"processed_signal", {"B D T", MelSpectrogramType{}}}, {"processed_length", {"B", LengthsType{}}}};
}

// NeMo accepts null, false and 0 for "not given".
bool given(const Json& value) {
  return !value.is_null() && value != Json(false) && value != Json(0) && value != Json(0.0);
}

int64_t samples_of(int64_t sample_rate, const Json& seconds, const Json& samples, const std::string& name) {
  if (given(seconds) && given(samples)) {
    throw Error(Code::kFailed, "both " + name + " and n_" + name + " are given")
        .at(name)
        .seen(json_text(seconds) + " and " + json_text(samples))
        .next("keep one; set the other to null");
  }
  double count = 0;
  if (given(seconds)) {
    if (!seconds.is_number())
      throw Error(Code::kFailed, "option has the wrong type").at(name).seen(json_text(seconds)).expected("seconds");
    count = std::trunc(seconds.get<double>() * static_cast<double>(sample_rate));
  } else if (given(samples)) {
    if (!samples.is_number_integer()) {
      throw Error(Code::kFailed, "option has the wrong type")
          .at("n_" + name)
          .seen(json_text(samples))
          .expected("samples (int)");
    }
    count = samples.get<double>();
  }
  if (!(count > 0))
    throw Error(Code::kFailed, name + " must be positive").at(name).expected("seconds, or n_" + name + " in samples");
  if (count > kMostSamples) {
    throw Error(Code::kFailed, name + " is out of range")
        .at(given(seconds) ? name : "n_" + name)
        .seen(json_text(given(seconds) ? seconds : samples))
        .expected("at most " + std::to_string(kMostSamples) + " samples");
  }
  return static_cast<int64_t>(count);
}

double guard_value(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == Json("tiny")) return std::numeric_limits<float>::min();
  if (value == Json("eps")) return std::numeric_limits<float>::epsilon();
  throw Error(Code::kFailed, "unknown log_zero_guard_value")
      .at("log_zero_guard_value")
      .seen(json_text(value))
      .expected("a number, tiny or eps");
}

std::vector<double> numbers(const Json& value, const std::string& name, int64_t count) {
  std::vector<double> out;
  if (value.is_array()) {
    for (const auto& item : value) {
      if (item.is_number()) out.push_back(item.get<double>());
    }
  }
  if (static_cast<int64_t>(out.size()) != count) {
    throw Error(Code::kFailed, name + " must be a list with one number per feature")
        .at("normalize." + name)
        .seen(json_text(value))
        .expected(std::to_string(count) + " numbers");
  }
  return out;
}

void read_normalize(const Json& value, int64_t features, FilterbankFeatures::Settings& s) {
  using Normalize = FilterbankFeatures::Settings::Normalize;
  if (value == Json("per_feature"))
    s.normalize = Normalize::kPerFeature;
  else if (value == Json("all_features"))
    s.normalize = Normalize::kAllFeatures;
  else if (value.is_object() && value.contains("fixed_mean") && value.contains("fixed_std")) {
    s.normalize = Normalize::kFixed;
    s.fixed_mean = numbers(value["fixed_mean"], "fixed_mean", features);
    s.fixed_std = numbers(value["fixed_std"], "fixed_std", features);
  } else if (value.is_object()) {
    throw Error(Code::kFailed, "normalize must hold fixed_mean and fixed_std").at("normalize").seen(json_text(value));
  }
  // Any other text means none, as in NeMo, whose configs say "NA" for it.
}

}  // namespace

std::pair<int64_t, int64_t> window_samples(int64_t sample_rate, const Json& window_size, const Json& window_stride,
                                           const Json& n_window_size, const Json& n_window_stride) {
  return {samples_of(sample_rate, window_size, n_window_size, "window_size"),
          samples_of(sample_rate, window_stride, n_window_stride, "window_stride")};
}

int64_t transform_length(const std::optional<int64_t>& n_fft, int64_t window, int64_t stride) {
  const int64_t length = n_fft.value_or(0) > 0
                             ? *n_fft
                             : static_cast<int64_t>(std::pow(2, std::ceil(std::log2(static_cast<double>(window)))));
  check_range("n_fft", length, window, kMostSamples);
  if (length / stride > kMostOverlap) {
    throw Error(Code::kFailed, "the transforms overlap so much that the spectrum is many times the audio")
        .at("n_fft")
        .seen(std::to_string(length) + " samples, every " + std::to_string(stride))
        .expected("at most " + std::to_string(kMostOverlap) + " times the stride");
  }
  return length;
}

FilterbankFeatures::FilterbankFeatures(const Settings& s) : settings(s) {
  window = register_buffer("window", audio::make_window(s.window, s.win_length, /*periodic=*/false));
  fb = register_buffer("fb", audio::slaney_mel_filters(static_cast<double>(s.sample_rate), s.n_fft, s.features,
                                                       s.low_hz, s.high_hz, s.mel_norm)
                                 .unsqueeze(0));
}

at::Tensor FilterbankFeatures::frame_lengths(const at::Tensor& samples) const {
  const Settings& s = settings;
  const int64_t edges = s.exact_pad ? (s.n_fft - s.hop_length) / 2 * 2 : s.n_fft / 2 * 2;
  at::Tensor frames = at::div(samples.to(at::kLong) + (edges - s.n_fft), s.hop_length, "floor");
  if (s.reflect) frames = frames + 1;
  // Streaming callers send empty items; they stay empty.
  return at::where(samples == 0, at::zeros_like(frames), frames.clamp_min(0));
}

at::Tensor FilterbankFeatures::pad(const at::Tensor& signal) const {
  const Settings& s = settings;
  const int64_t edge = s.exact_pad ? (s.n_fft - s.hop_length) / 2 : s.n_fft / 2;
  if (!s.reflect) return at::constant_pad_nd(signal, {edge, edge});
  if (signal.size(1) <= edge) {
    throw Error(Code::kBadData, "audio is too short to reflect its edges")
        .seen(std::to_string(signal.size(1)) + " samples")
        .expected("more than " + std::to_string(edge))
        .next("set min_duration, or front_end: nemo3");
  }
  return at::reflection_pad1d(signal, {edge, edge});
}

std::pair<at::Tensor, at::Tensor> FilterbankFeatures::forward(at::Tensor x, const at::Tensor& lengths) {
  const Settings& s = settings;
  const at::Tensor frame_count = frame_lengths(lengths);
  // Spectra overflow half types: autocast has no business here.
  const auto device = x.device().type();
  const c10::impl::ExcludeDispatchKeyGuard full_precision(
      at::autocast::is_autocast_enabled(device)
          ? c10::DispatchKeySet(at::autocast::get_autocast_dispatch_key_from_device_type(device))
          : c10::DispatchKeySet());

  if (s.exact_pad) x = pad(x);
  if (is_training() && s.dither > 0) x = x + s.dither * at::randn_like(x);
  if (s.preemph) {
    x = at::cat({x.narrow(1, 0, 1), x.narrow(1, 1, x.size(1) - 1) - *s.preemph * x.narrow(1, 0, x.size(1) - 1)}, 1);
    if (!s.reflect) {  // what stands behind an item's end must not reach its last frames
      const at::Tensor inside = at::arange(x.size(1), lengths.options()).unsqueeze(0) < lengths.unsqueeze(1);
      x = at::where(inside, x, at::zeros({}, x.options()));
    }
  }
  if (!s.exact_pad) x = pad(x);

  audio::StftOptions stft{s.n_fft, s.hop_length, s.mag_power != 2.0, s.use_grads ? kGradientGuard : 0};
  x = audio::spectrum(x, window.to(at::kFloat), stft);
  if (stft.magnitude && s.mag_power != 1.0) x = x.pow(s.mag_power);
  if (is_training() && s.nb_augmentation_prob > 0 && s.nb_max_freq < static_cast<double>(s.sample_rate) / 2) {
    // Makes an item look like narrow-band audio.
    const auto bin =
        static_cast<int64_t>(s.nb_max_freq / static_cast<double>(s.sample_rate) * static_cast<double>(s.n_fft));
    const at::Tensor narrow = at::rand({x.size(0), 1, 1}).to(x.device()) < s.nb_augmentation_prob;
    const at::Tensor above = at::arange(x.size(2), lengths.options()) >= bin;
    x = at::where(narrow.logical_and(above), at::zeros({}, x.options()), x);
  }

  x = at::matmul(fb.to(x.scalar_type()), x.transpose(1, 2));
  if (s.log) x = s.clamp_guard ? at::log(x.clamp_min(s.log_guard)) : at::log(x + s.log_guard);
  // NeMo's splicing repeats each frame instead of stacking its neighbours; trained weights depend on it.
  if (s.frame_splicing > 1) x = x.repeat({1, s.frame_splicing, 1});

  switch (s.normalize) {
    case Settings::Normalize::kNone: break;
    case Settings::Normalize::kPerFeature: x = audio::normalize_per_feature(x, frame_count); break;
    case Settings::Normalize::kAllFeatures: x = audio::normalize_all_features(x, frame_count); break;
    case Settings::Normalize::kFixed: {
      const auto column = [&](const std::vector<double>& values) {
        return at::tensor(values, at::kDouble).to(x.options()).unsqueeze(1).repeat({s.frame_splicing, 1});
      };
      x = (x - column(s.fixed_mean)) / column(s.fixed_std);
    }
  }
  const at::Tensor beyond = at::arange(x.size(2), frame_count.options()).unsqueeze(0) >= frame_count.unsqueeze(1);
  x = x.masked_fill(beyond.unsqueeze(1), s.pad_value);
  if (s.pad_to > 0 && x.size(2) % s.pad_to != 0)
    x = at::constant_pad_nd(x, {0, s.pad_to - x.size(2) % s.pad_to}, s.pad_value);
  return {x, frame_count};
}

void AudioToMelSpectrogramPreprocessor::Options::describe(OptionSet<Options>& o) {
  o("sample_rate", &Options::sample_rate, "sampling rate of the audio", "Hz");
  o("window_size", &Options::window_size, "window length; null: n_window_size", "s");
  o("window_stride", &Options::window_stride, "step between frames; null: n_window_stride", "s");
  o("n_window_size", &Options::n_window_size, "window length", "samples");
  o("n_window_stride", &Options::n_window_stride, "step between frames", "samples");
  o("window", &Options::window, "hann, hamming, blackman, bartlett, ones or none");
  o("normalize", &Options::normalize, "per_feature, all_features, {fixed_mean, fixed_std} or null; other text: none");
  o("n_fft", &Options::n_fft, "length of the transform; null: the power of two that holds the window", "samples");
  o("preemph", &Options::preemph, "pre-emphasis coefficient; null: none");
  o("features", &Options::features, "mel bands");
  o("lowfreq", &Options::lowfreq, "lower edge of the mel filters", "Hz");
  o("highfreq", &Options::highfreq, "upper edge of the mel filters; null: half the sampling rate", "Hz");
  o("log", &Options::log, "take the logarithm");
  o("log_zero_guard_type", &Options::log_zero_guard_type, "how the logarithm is kept from zero: add or clamp");
  o("log_zero_guard_value", &Options::log_zero_guard_value, "the amount: a number, tiny or eps");
  o("dither", &Options::dither, "white noise added in training", "standard deviation");
  o("pad_to", &Options::pad_to, "pad time to a multiple of this; 0: do not", "frames");
  o("frame_splicing", &Options::frame_splicing, "multiplies the features, as NeMo's splicing does");
  o("exact_pad", &Options::exact_pad, "pad so that the number of frames is samples / hop exactly (for vocoders)");
  o("pad_value", &Options::pad_value, "what frames beyond an item's end hold");
  o("mag_power", &Options::mag_power, "exponent of the magnitude: 2 power, 1 magnitude");
  o("rng", &Options::rng, "NeMo's own generator; only null: draws come from torch's default generator");
  o("nb_augmentation_prob", &Options::nb_augmentation_prob,
    "probability, in training, that an item loses what lies above nb_max_freq");
  o("nb_max_freq", &Options::nb_max_freq, "see nb_augmentation_prob", "Hz");
  o("use_torchaudio", &Options::use_torchaudio, "NeMo's other implementation; only false");
  o("mel_norm", &Options::mel_norm, "normalisation of the mel filters: slaney, null or a number p");
  o("use_grads", &Options::use_grads, "let gradients through to the audio");
  o("stft_exact_pad", &Options::stft_exact_pad, "deprecated in NeMo: an older name of exact_pad");
  o("stft_conv", &Options::stft_conv, "deprecated in NeMo, without effect there");
  o("front_end", &Options::front_end,
    "nemo3: edges padded with zeros, samples / hop frames (NeMo 2.5 and later); nemo1: edges reflected, one frame more "
    "(NeMo 1.0 to 2.4)");
}

namespace {

// The arithmetic that the options ask for. Throws Error, naming the option; `bands` is the name of that of the mel
// bands.
FilterbankFeatures::Settings settings_of(const AudioToMelSpectrogramPreprocessor::Options& o, const char* bands) {
  check_range("sample_rate", o.sample_rate, 1, kHighestRate);
  FilterbankFeatures::Settings s;
  s.sample_rate = o.sample_rate;
  std::tie(s.win_length, s.hop_length) =
      window_samples(o.sample_rate, o.window_size, o.window_stride, o.n_window_size, o.n_window_stride);
  s.n_fft = transform_length(o.n_fft, s.win_length, s.hop_length);
  s.features = o.features;
  s.window = o.window;
  read_normalize(o.normalize, o.features, s);
  s.preemph = o.preemph;
  s.low_hz = o.lowfreq;
  s.high_hz = o.highfreq.value_or(0) > 0 ? *o.highfreq : static_cast<double>(o.sample_rate) / 2;
  s.log = o.log;
  if (o.log_zero_guard_type != "add" && o.log_zero_guard_type != "clamp") {
    throw Error(Code::kFailed, "unknown log_zero_guard_type")
        .at("log_zero_guard_type")
        .seen(o.log_zero_guard_type)
        .expected("add or clamp");
  }
  s.clamp_guard = o.log_zero_guard_type == "clamp";
  s.log_guard = guard_value(o.log_zero_guard_value);
  s.dither = o.dither;
  s.pad_to = o.pad_to;
  s.frame_splicing = o.frame_splicing;
  s.exact_pad = o.exact_pad || o.stft_exact_pad;
  s.pad_value = o.pad_value;
  s.mag_power = o.mag_power;
  s.nb_augmentation_prob = o.nb_augmentation_prob;
  s.nb_max_freq = o.nb_max_freq;
  s.mel_norm = o.mel_norm;
  s.use_grads = o.use_grads;
  if (o.front_end != "nemo3" && o.front_end != "nemo1") {
    throw Error(Code::kFailed, "unknown front_end").at("front_end").seen(o.front_end).expected("nemo3 or nemo1");
  }
  s.reflect = o.front_end == "nemo1";

  const auto need = [](bool ok, const char* name, const std::string& seen, const char* expected) {
    if (!ok)
      throw Error(Code::kFailed, std::string("option '") + name + "' is out of range")
          .at(name)
          .seen(seen)
          .expected(expected);
  };
  check_range(bands, s.features, 1, kMostFeatures);
  check_range("frame_splicing", s.frame_splicing, 1, kMostFeatures / s.features);
  check_range("pad_to", s.pad_to, 0, std::min(kMostFrames, kMostPadding / (s.features * s.frame_splicing)));
  need(s.high_hz > s.low_hz, "highfreq", std::to_string(s.high_hz), "more than lowfreq");
  need(!s.exact_pad || s.hop_length % 2 == 0, "exact_pad", "a hop of " + std::to_string(s.hop_length), "an even hop");
  need(!s.exact_pad || s.n_fft >= s.hop_length, "exact_pad", "n_fft " + std::to_string(s.n_fft), "at least the hop");
  need(o.rng.is_null(), "rng", json_text(o.rng), "null");
  need(!o.use_torchaudio, "use_torchaudio", "true", "false");
  return s;
}

Values features_of(FilterbankFeatures& featurizer, const at::Tensor& audio, const at::Tensor& length) {
  const at::AutoGradMode recording(at::GradMode::is_enabled() && featurizer.settings.use_grads);
  auto [features, lengths] = featurizer.forward(audio, length);
  return {{"processed_signal", features.to(featurizer.fb.scalar_type())}, {"processed_length", lengths}};
}

Values second_of_noise(const FilterbankFeatures& featurizer) {
  const auto options = featurizer.fb.options();
  const int64_t samples = featurizer.settings.sample_rate;
  return {{"input_signal", at::rand({1, samples}, options.dtype(at::kFloat)) * 2 - 1},
          {"length", at::full({1}, samples, options.dtype(at::kLong))}};
}

}  // namespace

AudioToMelSpectrogramPreprocessor::AudioToMelSpectrogramPreprocessor(const Options& o)
    : featurizer_(register_module("featurizer", std::make_shared<FilterbankFeatures>(settings_of(o, "features")))) {}

Ports AudioToMelSpectrogramPreprocessor::inputs() const { return mel_inputs(featurizer_->settings.sample_rate); }
Ports AudioToMelSpectrogramPreprocessor::outputs() const { return mel_outputs(); }
void AudioToMelSpectrogramPreprocessor::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(mel_inputs(Options{}.sample_rate));
  schema["outputs"] = ports_json(mel_outputs());
}

Values AudioToMelSpectrogramPreprocessor::forward(const Values& in) {
  return features_of(*featurizer_, in.tensor("input_signal").to(at::kFloat), in.tensor("length"));
}
Values AudioToMelSpectrogramPreprocessor::input_example() const { return second_of_noise(*featurizer_); }

void FilterbankFeaturesModule::Options::describe(OptionSet<Options>& o) {
  o("sample_rate", &Options::sample_rate, "sampling rate of the audio", "Hz");
  o("n_window_size", &Options::n_window_size, "window length", "samples");
  o("n_window_stride", &Options::n_window_stride, "step between frames", "samples");
  o("window", &Options::window, "hann, hamming, blackman, bartlett, ones or none");
  o("normalize", &Options::normalize, "per_feature, all_features, {fixed_mean, fixed_std} or null; other text: none");
  o("n_fft", &Options::n_fft, "length of the transform; null: the power of two that holds the window", "samples");
  o("preemph", &Options::preemph, "pre-emphasis coefficient; null: none");
  o("nfilt", &Options::nfilt, "mel bands");
  o("lowfreq", &Options::lowfreq, "lower edge of the mel filters", "Hz");
  o("highfreq", &Options::highfreq, "upper edge of the mel filters; null: half the sampling rate", "Hz");
  o("log", &Options::log, "take the logarithm");
  o("log_zero_guard_type", &Options::log_zero_guard_type, "how the logarithm is kept from zero: add or clamp");
  o("log_zero_guard_value", &Options::log_zero_guard_value, "the amount: a number, tiny or eps");
  o("dither", &Options::dither, "white noise added in training", "standard deviation");
  o("pad_to", &Options::pad_to, "pad time to a multiple of this; 0: do not", "frames");
  o("max_duration", &Options::max_duration, "accepted, without effect: NeMo's logs mention it", "s");
  o("frame_splicing", &Options::frame_splicing, "multiplies the features, as NeMo's splicing does");
  o("exact_pad", &Options::exact_pad, "pad so that the number of frames is samples / hop exactly (for vocoders)");
  o("pad_value", &Options::pad_value, "what frames beyond an item's end hold");
  o("mag_power", &Options::mag_power, "exponent of the magnitude: 2 power, 1 magnitude");
  o("use_grads", &Options::use_grads, "let gradients through to the audio");
  o("rng", &Options::rng, "NeMo's own generator; only null: draws come from torch's default generator");
  o("nb_augmentation_prob", &Options::nb_augmentation_prob,
    "probability, in training, that an item loses what lies above nb_max_freq");
  o("nb_max_freq", &Options::nb_max_freq, "see nb_augmentation_prob", "Hz");
  o("mel_norm", &Options::mel_norm, "normalisation of the mel filters: slaney, null or a number p");
  o("stft_exact_pad", &Options::stft_exact_pad, "deprecated in NeMo: an older name of exact_pad");
  o("stft_conv", &Options::stft_conv, "deprecated in NeMo, without effect there");
  o("front_end", &Options::front_end, "nemo3 or nemo1, as AudioToMelSpectrogramPreprocessor's");
}

FilterbankFeaturesModule::FilterbankFeaturesModule(const Options& o) {
  AudioToMelSpectrogramPreprocessor::Options same;
  same.sample_rate = o.sample_rate;
  same.window_size = same.window_stride = nullptr;
  same.n_window_size = o.n_window_size;
  same.n_window_stride = o.n_window_stride;
  same.window = o.window;
  same.normalize = o.normalize;
  same.n_fft = o.n_fft;
  same.preemph = o.preemph;
  same.features = o.nfilt;
  same.lowfreq = o.lowfreq;
  same.highfreq = o.highfreq;
  same.log = o.log;
  same.log_zero_guard_type = o.log_zero_guard_type;
  same.log_zero_guard_value = o.log_zero_guard_value;
  same.dither = o.dither;
  same.pad_to = o.pad_to;
  same.frame_splicing = o.frame_splicing;
  same.exact_pad = o.exact_pad || o.stft_exact_pad;
  same.pad_value = o.pad_value;
  same.mag_power = o.mag_power;
  same.rng = o.rng;
  same.nb_augmentation_prob = o.nb_augmentation_prob;
  same.nb_max_freq = o.nb_max_freq;
  same.mel_norm = o.mel_norm;
  same.use_grads = o.use_grads;
  same.front_end = o.front_end;
  features_ = std::make_shared<FilterbankFeatures>(settings_of(same, "nfilt"));
  register_buffer("window", features_->window);
  register_buffer("fb", features_->fb);
}

Ports FilterbankFeaturesModule::inputs() const { return mel_inputs(features_->settings.sample_rate); }
Ports FilterbankFeaturesModule::outputs() const { return mel_outputs(); }
void FilterbankFeaturesModule::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(mel_inputs(Options{}.sample_rate));
  schema["outputs"] = ports_json(mel_outputs());
}
Values FilterbankFeaturesModule::forward(const Values& in) {
  // Moving the module to another type or device replaces its own handles of the buffers.
  features_->window = named_buffers()["window"];
  features_->fb = named_buffers()["fb"];
  features_->train(is_training());
  // Unlike the other, NeMo's inner class computes in the type of what it is given.
  const at::Tensor& audio = in.tensor("input_signal");
  const bool is_double = audio.scalar_type() == at::kDouble;
  return features_of(*features_, is_double ? audio : audio.to(at::kFloat), in.tensor("length"));
}
Values FilterbankFeaturesModule::input_example() const { return second_of_noise(*features_); }

}  // namespace fathom::asr
