#include "plugins/tts/data/featurizers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>

#include "fathom/module.h"
#include "fathom/nearest_names.h"
#include "plugins/lib/audio/pitch.h"
#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

constexpr const char* kPreprocessor = "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor";

struct MelFeatureOptions {
  std::string feature_name = "mel_spec";
  int64_t sample_rate = 22050, mel_dim = 80, win_length = 1024, hop_length = 256;
  double lowfreq = 0;
  std::optional<double> highfreq = 8000;
  bool log = true;
  std::string log_zero_guard_type = "add";
  double log_zero_guard_value = 1;
  Json mel_norm = nullptr;
  bool volume_norm = true;
  static void describe(OptionSet<MelFeatureOptions>& o) {
    using Options = MelFeatureOptions;
    o("feature_name", &Options::feature_name, "name of the feature and its folder");
    o("sample_rate", &Options::sample_rate, "audio is resampled to it", "Hz");
    o("mel_dim", &Options::mel_dim, "mel bands");
    o("win_length", &Options::win_length, "of a frame", "samples");
    o("hop_length", &Options::hop_length, "from frame to frame", "samples");
    o("lowfreq", &Options::lowfreq, "where the lowest band begins", "Hz");
    o("highfreq", &Options::highfreq, "where the highest ends; null: half the sample rate", "Hz");
    o("log", &Options::log, "logarithms");
    o("log_zero_guard_type", &Options::log_zero_guard_type, "add or clamp");
    o("log_zero_guard_value", &Options::log_zero_guard_value, "what is added, or the least value");
    o("mel_norm", &Options::mel_norm, "slaney, null or a number");
    o("volume_norm", &Options::volume_norm, "the loudest sample at 0.95");
  }
};

struct EnergyFeatureOptions {
  Json spec_featurizer;
  std::string feature_name = "energy";
  static void describe(OptionSet<EnergyFeatureOptions>& o) {
    using Options = EnergyFeatureOptions;
    o.required("spec_featurizer", &Options::spec_featurizer, "a MelSpectrogramFeaturizer").example(Json::object());
    o("feature_name", &Options::feature_name, "name of the feature and its folder");
  }
};

struct PitchFeatureOptions {
  std::optional<std::string> pitch_name = "pitch", voiced_mask_name = "voiced_mask", voiced_prob_name;
  int64_t sample_rate = 22050, win_length = 1024, hop_length = 256;
  double pitch_fmin = 65.40639132514966, pitch_fmax = 2093.004522404789;
  bool volume_norm = true;
  std::optional<double> batch_seconds = 30;
  int64_t batch_padding = 10;
  std::string pitch_method = "pyin";
  static void describe(OptionSet<PitchFeatureOptions>& o) {
    using Options = PitchFeatureOptions;
    o("pitch_name", &Options::pitch_name, "name of the pitch in Hz; null: not kept");
    o("voiced_mask_name", &Options::voiced_mask_name, "name of what says which frames are voiced; null: not kept");
    o("voiced_prob_name", &Options::voiced_prob_name, "name of the probability that they are; null: not kept");
    o("sample_rate", &Options::sample_rate, "audio is resampled to it", "Hz");
    o("win_length", &Options::win_length, "of a frame", "samples");
    o("hop_length", &Options::hop_length, "from frame to frame", "samples");
    o("pitch_fmin", &Options::pitch_fmin, "lowest pitch that is looked for", "Hz");
    o("pitch_fmax", &Options::pitch_fmax, "highest pitch that is looked for", "Hz");
    o("volume_norm", &Options::volume_norm, "the loudest sample at 0.95");
    o("batch_seconds", &Options::batch_seconds, "longer audio is looked at in pieces; null: never", "s");
    o("batch_padding", &Options::batch_padding, "how far a piece reaches into its neighbours", "frames");
    o("pitch_method", &Options::pitch_method, "pyin (as NeMo), or autocorrelation: faster and rougher");
  }
};

class MelFeaturizer : public Featurizer {
 public:
  MelFeaturizer(const Json& section, const std::string& path)
      : options_(parse_options<MelFeatureOptions>(section, path)) {
    const auto& o = options_;
    check_range("win_length", o.win_length, 16, 1 << 20);
    check_range("hop_length", o.hop_length, 1, 1 << 20);
    check_range("mel_dim", o.mel_dim, 1, 4096);
    check_range("sample_rate", o.sample_rate, 1, 768'000);
    sample_rate_ = o.sample_rate;
    hop_length_ = o.hop_length;
    volume_norm_ = o.volume_norm;
    settings_ = {{"sample_rate", o.sample_rate},
                 {"features", o.mel_dim},
                 {"n_window_size", o.win_length},
                 {"n_window_stride", o.hop_length},
                 {"n_fft", o.win_length},
                 {"lowfreq", o.lowfreq},
                 {"highfreq", o.highfreq ? Json(*o.highfreq) : Json(nullptr)},
                 {"log", o.log},
                 {"log_zero_guard_type", o.log_zero_guard_type},
                 {"log_zero_guard_value", o.log_zero_guard_value},
                 {"mel_norm", o.mel_norm}};
    Json front = settings_;
    front["_target_"] = kPreprocessor;
    for (const char* key : {"window_size", "window_stride"}) front[key] = false;
    for (const char* key : {"normalize", "preemph"}) front[key] = nullptr;
    front["pad_to"] = 1;
    front["dither"] = 0.0;
    front["mag_power"] = 1.0;
    front_end_ = make_module(front, path);
    settings_["volume_norm"] = o.volume_norm;
  }
  std::vector<Feature> features() const override { return {{options_.feature_name}}; }
  Json settings() const override { return settings_; }
  std::vector<Feature> compute(const at::Tensor& audio, const std::string& where) const override {
    return {{options_.feature_name, false, spectrogram(audio, where)}};
  }
  at::Tensor spectrogram(const at::Tensor& audio, const std::string& where) const {
    if (audio.size(0) <= options_.win_length / 2) {
      throw Error(Code::kBadData, "audio is too short for a spectrum")
          .at(where)
          .seen(std::to_string(audio.size(0)) + " samples")
          .expected("more than win_length / 2 = " + std::to_string(options_.win_length / 2))
          .next("set min_duration, or leave the line out");
    }
    const at::NoGradGuard no_grad;
    const std::lock_guard lock(mutex_);
    return front_end_({{"input_signal", audio.unsqueeze(0)}, {"length", at::tensor({audio.size(0)}, at::kLong)}})
        .tensor("processed_signal")
        .squeeze(0)
        .to(at::kFloat)
        .contiguous();
  }

 private:
  MelFeatureOptions options_;
  Json settings_;
  ModuleHandle front_end_;
  mutable std::mutex mutex_;
};

class EnergyFeaturizer : public Featurizer {
 public:
  EnergyFeaturizer(const Json& section, const std::string& path)
      : options_(parse_options<EnergyFeatureOptions>(section, path)) {
    Json spec = options_.spec_featurizer;
    if (!spec.is_object()) throw Error(Code::kFailed, "no section").at(path + ".spec_featurizer").seen(json_text(spec));
    spec.erase("_target_");
    mel_ = std::make_unique<MelFeaturizer>(spec, path + ".spec_featurizer");
    sample_rate_ = mel_->sample_rate();
    hop_length_ = mel_->hop_length();
    volume_norm_ = mel_->volume_norm();
  }
  std::vector<Feature> features() const override { return {{options_.feature_name}}; }
  Json settings() const override { return mel_->settings(); }
  std::vector<Feature> compute(const at::Tensor& audio, const std::string& where) const override {
    return {{options_.feature_name, false,
             at::linalg_vector_norm(mel_->spectrogram(audio, where), 2, at::IntArrayRef{0}).contiguous()}};
  }

 private:
  EnergyFeatureOptions options_;
  std::unique_ptr<MelFeaturizer> mel_;
};

class PitchFeaturizer : public Featurizer {
 public:
  PitchFeaturizer(const Json& section, const std::string& path)
      : options_(parse_options<PitchFeatureOptions>(section, path)),
        method_(audio::parse_pitch_method(options_.pitch_method, path + ".pitch_method")) {
    const auto& o = options_;
    check_range("win_length", o.win_length, 4, 1 << 20);
    check_range("hop_length", o.hop_length, 1, 1 << 20);
    check_range("sample_rate", o.sample_rate, 1, 768'000);
    check_range("batch_padding", o.batch_padding, 0, 1 << 20);
    if (o.batch_seconds && !(*o.batch_seconds > 0)) {
      throw Error(Code::kFailed, "a piece must have a length")
          .at(path + ".batch_seconds")
          .seen(std::to_string(*o.batch_seconds));
    }
    sample_rate_ = o.sample_rate;
    hop_length_ = o.hop_length;
    volume_norm_ = o.volume_norm;
  }
  std::vector<Feature> features() const override { return named({}, {}, {}); }
  Json settings() const override {
    const auto& o = options_;
    return {{"sample_rate", o.sample_rate},  {"win_length", o.win_length}, {"hop_length", o.hop_length},
            {"pitch_fmin", o.pitch_fmin},    {"pitch_fmax", o.pitch_fmax}, {"volume_norm", o.volume_norm},
            {"pitch_method", o.pitch_method}};
  }
  std::vector<Feature> compute(const at::Tensor& audio, const std::string&) const override {
    const at::Tensor samples = audio.contiguous();
    const std::span<const float> all(samples.const_data_ptr<float>(), static_cast<size_t>(samples.numel()));
    const audio::PitchOptions how = {static_cast<double>(options_.sample_rate), options_.pitch_fmin,
                                     options_.pitch_fmax, options_.win_length, options_.hop_length};
    const auto hop = static_cast<size_t>(options_.hop_length);
    const size_t piece = options_.batch_seconds ? frames_of_piece() * hop : all.size() + 1;
    if (all.size() < piece) return of(audio::track_pitch(all, how, method_));
    // Pieces overlap by batch_padding frames, which are dropped again.
    const auto margin = static_cast<size_t>(options_.batch_padding);
    audio::PitchTrack whole;
    for (size_t start = 0; start < all.size(); start += piece) {
      const bool first = start == 0, last = start + piece >= all.size();
      const size_t before = first ? 0 : std::min(margin, start / hop);
      const size_t from = start - before * hop,
                   to = last ? all.size() : std::min(all.size(), start + piece + margin * hop);
      const audio::PitchTrack part = audio::track_pitch(all.subspan(from, to - from), how, method_);
      const size_t count = last ? part.f0.size() - before : std::min(part.f0.size() - before, piece / hop);
      for (auto member : {&audio::PitchTrack::f0, &audio::PitchTrack::voiced, &audio::PitchTrack::p_voiced}) {
        const auto begin = (part.*member).begin() + static_cast<std::ptrdiff_t>(before);
        (whole.*member).insert((whole.*member).end(), begin, begin + static_cast<std::ptrdiff_t>(count));
      }
    }
    return of(whole);
  }

 private:
  size_t frames_of_piece() const {
    const double samples = std::trunc(*options_.batch_seconds * static_cast<double>(options_.sample_rate));
    return static_cast<size_t>(std::max(1.0, std::ceil(samples / static_cast<double>(options_.hop_length))));
  }
  std::vector<Feature> named(at::Tensor pitch, at::Tensor mask, at::Tensor probability) const {
    std::vector<Feature> out;
    if (options_.pitch_name) out.push_back({*options_.pitch_name, false, std::move(pitch)});
    if (options_.voiced_mask_name) out.push_back({*options_.voiced_mask_name, true, std::move(mask)});
    if (options_.voiced_prob_name) out.push_back({*options_.voiced_prob_name, false, std::move(probability)});
    return out;
  }
  std::vector<Feature> of(const audio::PitchTrack& track) const {
    return named(at::tensor(track.f0), at::tensor(track.voiced).ne(0), at::tensor(track.p_voiced));
  }

  PitchFeatureOptions options_;
  audio::PitchMethod method_;
};

}  // namespace

std::vector<std::unique_ptr<Featurizer>> make_featurizers(const Json& section, const std::string& path) {
  std::vector<std::unique_ptr<Featurizer>> out;
  if (section.is_null()) return out;
  if (!section.is_object()) {
    throw Error(Code::kFailed, "featurizers stand in a section, by name")
        .at(path)
        .seen(json_text(section))
        .expected("{pitch: {_target_: …PitchFeaturizer, …}, …}");
  }
  std::set<std::string> names;
  for (const auto& [name, given] : section.items()) {
    const std::string where = path + "." + name;
    const std::string target = given.is_object() ? given.value("_target_", Json("")).get<std::string>() : "";
    const std::string type = target.substr(target.rfind('.') + 1);
    Json options = given;
    if (options.is_object()) options.erase("_target_");
    if (type == "MelSpectrogramFeaturizer") {
      out.push_back(std::make_unique<MelFeaturizer>(options, where));
    } else if (type == "EnergyFeaturizer") {
      out.push_back(std::make_unique<EnergyFeaturizer>(options, where));
    } else if (type == "PitchFeaturizer") {
      out.push_back(std::make_unique<PitchFeaturizer>(options, where));
    } else {
      throw Error(Code::kFailed, "there is no featurizer of that name")
          .at(where + "._target_")
          .seen(target.empty() ? json_text(given).substr(0, 80) : target)
          .expected("MelSpectrogramFeaturizer, EnergyFeaturizer or PitchFeaturizer")
          .candidates(nearest_names(type, {"MelSpectrogramFeaturizer", "EnergyFeaturizer", "PitchFeaturizer"}));
    }
    for (const auto& feature : out.back()->features()) {
      if (names.insert(feature.name).second) continue;
      throw Error(Code::kFailed, "two featurizers make a feature of the same name").at(where).seen(feature.name);
    }
  }
  return out;
}

at::Tensor normalized_volume(const at::Tensor& audio) {
  if (audio.numel() == 0) return audio;
  const at::Tensor loudest = audio.abs().max();
  return loudest.item<float>() == 0 ? audio : audio.div(loudest).mul(0.95F);
}

}  // namespace fathom::tts
