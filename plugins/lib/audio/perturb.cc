#include "plugins/lib/audio/perturb.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "fathom/options.h"

namespace fathom::audio {
namespace {

// Standard normal by Box and Muller: std::normal_distribution differs between libraries.
double normal(Rng& rng) {
  const double u = 1.0 - uniform(rng, 0, 1), v = uniform(rng, 0, 1);
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

void need_one_channel(const AudioSegment& audio, const char* type) {
  if (audio.channels != 1) {
    throw Error(Code::kBadData, std::string("perturbation '") + type + "' works on one channel")
        .seen(std::to_string(audio.channels) + " channels")
        .next("set channel_selector");
  }
}

class Gain final : public Perturbation {
 public:
  struct Options {
    double min_gain_dbfs = -10, max_gain_dbfs = 10;
    static void describe(OptionSet<Options>& o) {
      o("min_gain_dbfs", &Options::min_gain_dbfs, "smallest gain", "dB");
      o("max_gain_dbfs", &Options::max_gain_dbfs, "largest gain", "dB");
    }
  };
  explicit Gain(const Options& o) : o_(o) {}
  void apply(AudioSegment& audio, Rng& rng) const override {
    apply_gain(audio, uniform(rng, o_.min_gain_dbfs, o_.max_gain_dbfs));
  }

 private:
  Options o_;
};

class Shift final : public Perturbation {
 public:
  struct Options {
    double min_shift_ms = -5, max_shift_ms = 5;
    static void describe(OptionSet<Options>& o) {
      o("min_shift_ms", &Options::min_shift_ms, "smallest shift; negative delays the audio", "ms");
      o("max_shift_ms", &Options::max_shift_ms, "largest shift; positive advances the audio", "ms");
    }
  };
  explicit Shift(const Options& o) : o_(o) {}
  void apply(AudioSegment& audio, Rng& rng) const override {
    need_one_channel(audio, "shift");
    const double ms = uniform(rng, o_.min_shift_ms, o_.max_shift_ms);
    if (std::abs(ms) / 1000 > audio.duration()) return;
    const auto samples = static_cast<int64_t>(std::floor(ms * static_cast<double>(audio.sample_rate) / 1000));
    auto& x = audio.samples;
    if (samples < 0) {
      std::move_backward(x.begin(), x.end() + samples, x.end());
      std::fill(x.begin(), x.begin() - samples, 0.0f);
    } else if (samples > 0) {
      std::move(x.begin() + samples, x.end(), x.begin());
      std::fill(x.end() - samples, x.end(), 0.0f);
    }
  }

 private:
  Options o_;
};

class Silence final : public Perturbation {
 public:
  struct Options {
    double min_start_silence_secs = 0, max_start_silence_secs = 0, min_end_silence_secs = 0, max_end_silence_secs = 0;
    static void describe(OptionSet<Options>& o) {
      o("min_start_silence_secs", &Options::min_start_silence_secs, "least silence before the audio", "s");
      o("max_start_silence_secs", &Options::max_start_silence_secs, "most silence before the audio", "s");
      o("min_end_silence_secs", &Options::min_end_silence_secs, "least silence after the audio", "s");
      o("max_end_silence_secs", &Options::max_end_silence_secs, "most silence after the audio", "s");
    }
  };
  explicit Silence(const Options& o) : o_(o) {}
  void apply(AudioSegment& audio, Rng& rng) const override {
    const double before = uniform(rng, o_.min_start_silence_secs, o_.max_start_silence_secs);
    const double after = uniform(rng, o_.min_end_silence_secs, o_.max_end_silence_secs);
    const auto samples = [&](double seconds) {
      return static_cast<size_t>(seconds * static_cast<double>(audio.sample_rate)) *
             static_cast<size_t>(audio.channels);
    };
    audio.samples.insert(audio.samples.begin(), samples(before), 0.0f);
    audio.samples.insert(audio.samples.end(), samples(after), 0.0f);
  }

 private:
  Options o_;
};

class WhiteNoise final : public Perturbation {
 public:
  struct Options {
    int64_t min_level = -90, max_level = -46;
    static void describe(OptionSet<Options>& o) {
      o("min_level", &Options::min_level, "lowest level of the noise", "dB");
      o("max_level", &Options::max_level, "levels stay below this one", "dB");
    }
  };
  explicit WhiteNoise(const Options& o) : o_(o) {}
  void apply(AudioSegment& audio, Rng& rng) const override {
    const double level = std::floor(
        uniform(rng, static_cast<double>(o_.min_level), static_cast<double>(std::max(o_.max_level, o_.min_level + 1))));
    const double scale = std::pow(10.0, level / 20.0);
    for (float& x : audio.samples) x += static_cast<float>(scale * normal(rng));
  }

 private:
  Options o_;
};

// Changes speed and pitch together, by resampling.
class Speed final : public Perturbation {
 public:
  struct Options {
    int64_t sr = 0;
    std::string resample_type = "soxr_hq";
    double min_speed_rate = 0.9, max_speed_rate = 1.1;
    int64_t num_rates = 5;
    static void describe(OptionSet<Options>& o) {
      o("sr", &Options::sr, "sample rate of the audio; 0: what the audio says", "Hz");
      o("resample_type", &Options::resample_type, "NeMo's choice of library; soxr's HQ is used for every value");
      o("min_speed_rate", &Options::min_speed_rate, "smallest length relative to the original");
      o("max_speed_rate", &Options::max_speed_rate, "largest length relative to the original");
      o("num_rates", &Options::num_rates, "evenly spaced rates to choose from; negative: any rate");
    }
  };
  explicit Speed(const Options& o) : o_(o) {
    if (o.min_speed_rate <= 0 || o.max_speed_rate < o.min_speed_rate || o.num_rates == 0) {
      throw Error(Code::kFailed,
                  "speed perturbation needs 0 < min_speed_rate <= max_speed_rate and num_rates other than 0");
    }
  }
  void apply(AudioSegment& audio, Rng& rng) const override {
    double rate = 0;
    if (o_.num_rates < 0) {
      rate = uniform(rng, o_.min_speed_rate, o_.max_speed_rate);
    } else {
      const double index = std::floor(uniform(rng, 0, static_cast<double>(o_.num_rates)));
      const double span = o_.num_rates == 1 ? 0 : index / static_cast<double>(o_.num_rates - 1);
      rate = o_.min_speed_rate + span * (o_.max_speed_rate - o_.min_speed_rate);
    }
    const int64_t from = o_.sr > 0 ? o_.sr : audio.sample_rate, kept = audio.sample_rate;
    const auto to = static_cast<int64_t>(static_cast<double>(from) * rate);
    if (to == from) return;
    audio.sample_rate = from;
    resample(audio, to);
    audio.sample_rate = kept;
  }

 private:
  Options o_;
};

template <typename T>
std::unique_ptr<Perturbation> make(const Json& options, const std::string& path) {
  return std::make_unique<T>(parse_options<typename T::Options>(options, path));
}

}  // namespace

double uniform(Rng& rng, double low, double high) {
  return low + (high - low) * (static_cast<double>(rng() >> 11) * 0x1.0p-53);
}

std::unique_ptr<Perturbation> make_perturbation(const std::string& type, const Json& options, const std::string& path) {
  if (type == "gain") return make<Gain>(options, path);
  if (type == "shift") return make<Shift>(options, path);
  if (type == "silence") return make<Silence>(options, path);
  if (type == "white_noise") return make<WhiteNoise>(options, path);
  if (type == "speed") return make<Speed>(options, path);
  throw Error(Code::kUnavailable, "there is no perturbation '" + type + "'")
      .at(path)
      .expected("gain, shift, silence, speed or white_noise");
}

AudioAugmentor::AudioAugmentor(const Json& config, const std::string& path) {
  if (config.is_null()) return;
  if (!config.is_object()) {
    throw Error(Code::kFailed, "augmentor must be a mapping of perturbations").at(path).seen(json_text(config));
  }
  for (const auto& [type, section] : config.items()) {
    const std::string where = path + "." + type;
    if (!section.is_object() || !section.contains("prob") || !section["prob"].is_number()) {
      throw Error(Code::kFailed, "a perturbation needs a probability").at(where).expected("prob: a number in [0, 1]");
    }
    const double probability = section["prob"].get<double>();
    if (!(probability >= 0 && probability <= 1)) {
      throw Error(Code::kFailed, "a probability lies in [0, 1]").at(where + ".prob").seen(json_text(section["prob"]));
    }
    Json options = section;
    options.erase("prob");
    steps_.push_back({probability, make_perturbation(type, options, where)});
  }
}

void AudioAugmentor::apply(AudioSegment& audio, Rng& rng) const {
  for (const auto& step : steps_) {
    if (uniform(rng, 0, 1) < step.probability) step.perturbation->apply(audio, rng);
  }
}

}  // namespace fathom::audio
