#include "plugins/tts/modules/griffin_lim.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <numbers>

#include "plugins/lib/audio/mel_features.h"
#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

constexpr int kLeastSquaresSteps = 40;
constexpr double kTiny = 1e-12;

Ports griffin_lim_inputs() { return {{"spect", {"B D T", MelSpectrogramType{}}}}; }
Ports griffin_lim_outputs() { return {{"audio", {"B T", AudioSignal{}}}}; }

double number_of(const Json& front_end, const char* key, double otherwise) {
  const Json value = front_end.value(key, Json(nullptr));
  return value.is_number() ? value.get<double>() : otherwise;
}

}  // namespace

void GriffinLimModel::Options::describe(OptionSet<Options>& o) {
  o("n_iters", &Options::n_iters, "how often the phases are corrected");
  o("n_fft", &Options::n_fft, "length of the transform; null: the front-end's", "samples");
  o("l_hop", &Options::l_hop, "step between frames; null: the front-end's", "samples");
  o("momentum", &Options::momentum, "of the corrections: 0 is Griffin and Lim's own way, 0.99 the fast one");
  o("seed", &Options::seed, "of the first phases");
  o("front_end", &Options::front_end,
    "what the spectrograms are: sample_rate, n_fft, n_window_size, n_window_stride, window, features, lowfreq, "
    "highfreq, "
    "mel_norm, mag_power, log, log_zero_guard_type, log_zero_guard_value");
}

GriffinLimModel::GriffinLimModel(const Options& o) : options_(o), front_end_(o.front_end) {
  const auto sample_rate = number_of(front_end_, "sample_rate", 22050);
  n_fft_ = o.n_fft.value_or(static_cast<int64_t>(number_of(front_end_, "n_fft", 1024)));
  const auto win = static_cast<int64_t>(number_of(front_end_, "n_window_size", static_cast<double>(n_fft_)));
  hop_ =
      o.l_hop.value_or(static_cast<int64_t>(number_of(front_end_, "n_window_stride", static_cast<double>(n_fft_) / 4)));
  bands_ = static_cast<int64_t>(number_of(front_end_, "features", 80));
  check_range("n_iters", o.n_iters, 0, 100000);
  check_range("n_fft", n_fft_, 4, 1 << 20);
  check_range("n_window_size", win, 1, n_fft_);
  check_range("l_hop", hop_, 1, win);
  check_range("features", bands_, 1, 1 << 14);
  if (o.momentum < 0 || o.momentum >= 1) {
    throw Error(Code::kFailed, "option is out of range")
        .at("momentum")
        .seen(std::to_string(o.momentum))
        .expected("0 to below 1");
  }
  // Said in full, whatever the section left out: others compare it.
  front_end_["sample_rate"] = sample_rate;
  front_end_["n_fft"] = n_fft_;
  front_end_["n_window_size"] = win;
  front_end_["n_window_stride"] = hop_;
  front_end_["features"] = bands_;
  const Json name = front_end_.value("window", Json("hann"));
  const at::Tensor window = audio::make_window(name.is_string() ? std::optional(name.get<std::string>()) : std::nullopt,
                                               win, /*periodic=*/true);
  const int64_t left = (n_fft_ - win) / 2;
  window_ = at::constant_pad_nd(window, {left, n_fft_ - win - left});
  filters_ = audio::slaney_mel_filters(sample_rate, n_fft_, bands_, number_of(front_end_, "lowfreq", 0),
                                       number_of(front_end_, "highfreq", sample_rate / 2),
                                       front_end_.contains("mel_norm") ? front_end_["mel_norm"] : Json("slaney"));
  inverse_ = at::linalg_pinv(filters_.to(at::kDouble)).to(at::kFloat);
}

Ports GriffinLimModel::inputs() const { return griffin_lim_inputs(); }
Ports GriffinLimModel::outputs() const { return griffin_lim_outputs(); }
void GriffinLimModel::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(griffin_lim_inputs());
  schema["outputs"] = ports_json(griffin_lim_outputs());
}
Values GriffinLimModel::forward(const Values& in) { return vocode(in, Json::object()); }
Values GriffinLimModel::input_example() const { return {{"spect", at::full({1, bands_, 16}, -4.0)}}; }

Json GriffinLimModel::vocoder_info() const {
  return {{"sample_rate", static_cast<int64_t>(front_end_["sample_rate"].get<double>())},
          {"hop_length", hop_},
          {"context", nullptr},
          {"front_end", front_end_}};
}

at::Tensor GriffinLimModel::magnitudes_of(const at::Tensor& spect) const {
  at::Tensor mel = spect;
  if (front_end_.value("log", Json(true)) != Json(false)) {
    mel = at::exp(mel);
    const Json guard = front_end_.value("log_zero_guard_value", Json(0));
    if (front_end_.value("log_zero_guard_type", Json("add")) == Json("add") && guard.is_number())
      mel = (mel - guard.get<double>()).clamp_min(0);
  }
  // Lee & Seung's multiplicative steps keep every bin from falling below zero.
  at::Tensor bins = at::matmul(inverse_, mel).clamp_min(kTiny);
  const at::Tensor back = filters_.t(), wanted = at::matmul(back, mel), normal = at::matmul(back, filters_);
  for (int step = 0; step < kLeastSquaresSteps; ++step) bins = bins * wanted / (at::matmul(normal, bins) + kTiny);
  const double power = number_of(front_end_, "mag_power", 2);
  return power == 1 ? bins : bins.pow(1 / power);
}

// Frames stand as an exact_pad front-end's do: frame i is centred on sample i · hop + hop / 2.
at::Tensor GriffinLimModel::stft(const at::Tensor& audio) const {
  const int64_t edge = (n_fft_ - hop_) / 2;
  const at::Tensor padded = at::constant_pad_nd(audio, {edge, n_fft_ - hop_ - edge});
  return at::fft_rfft(padded.unfold(1, n_fft_, hop_) * window_).transpose(1, 2);
}

at::Tensor GriffinLimModel::istft(const at::Tensor& spectrum) const {
  const int64_t frames = spectrum.size(2), length = (frames - 1) * hop_ + n_fft_;
  const at::Tensor pieces = at::fft_irfft(spectrum, n_fft_, 1) * window_.view({1, -1, 1});
  const auto added = [&](const at::Tensor& x) {
    return at::col2im(x, {1, length}, {1, n_fft_}, {1, 1}, {0, 0}, {1, hop_}).view({x.size(0), length});
  };
  const at::Tensor weights = added((window_ * window_).view({1, -1, 1}).expand({1, n_fft_, frames}).contiguous());
  return (added(pieces) / weights.clamp_min(1e-8)).narrow(1, (n_fft_ - hop_) / 2, frames * hop_);
}

at::Tensor GriffinLimModel::audio_of(const at::Tensor& magnitudes, int64_t iterations, int64_t seed) const {
  auto random = at::detail::createCPUGenerator(static_cast<uint64_t>(seed));
  const at::Tensor phase = at::rand(magnitudes.sizes(), random, magnitudes.options()) * (2 * std::numbers::pi);
  at::Tensor angles = at::polar(at::ones_like(phase), phase), before;
  for (int64_t i = 0; i < iterations; ++i) {
    const at::Tensor rebuilt = stft(istft(angles * magnitudes));
    angles = rebuilt;
    if (options_.momentum > 0 && before.defined())
      angles = rebuilt - before * (options_.momentum / (1 + options_.momentum));
    angles = angles / (angles.abs() + kTiny);
    before = rebuilt;
  }
  return istft(angles * magnitudes);
}

Values GriffinLimModel::vocode(const Values& input, const Json& options) {
  int64_t seed = options_.seed, iterations = options_.n_iters;
  for (const auto& [key, value] : options.items()) {
    if (value.is_null()) continue;
    if ((key != "seed" && key != "n_iters") || !value.is_number_integer() || value.get<int64_t>() < 0) {
      throw Error(Code::kUsage, "the vocoder takes no such option")
          .seen(key + "=" + json_text(value))
          .expected("seed or n_iters, a whole number of at least 0");
    }
    (key == "seed" ? seed : iterations) = value.get<int64_t>();
  }
  const at::Tensor spect = input.tensor("spect").to(at::kFloat);
  if (spect.size(1) != bands_) {
    throw Error(Code::kBadData, "the spectrogram has another number of mel bands than the vocoder")
        .seen(std::to_string(spect.size(1)))
        .expected(std::to_string(bands_));
  }
  const at::NoGradGuard no_grad;
  if (spect.size(2) == 0) return {{"audio", at::zeros({spect.size(0), 0})}};
  return {{"audio", audio_of(magnitudes_of(spect), iterations, seed).clamp(-1, 1)}};
}

}  // namespace fathom::tts
