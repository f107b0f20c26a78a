// What FastPitchModel does for `fathom synthesize`.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "fathom/nearest_names.h"
#include "plugins/lib/audio/audio_segment.h"
#include "plugins/tts/models/fastpitch_model.h"
#include "plugins/tts/models/front_end.h"

namespace fathom::tts {
namespace {

[[noreturn]] void refuse(const std::string& key, const Json& value, const std::string& expected) {
  throw Error(Code::kUsage, "the option cannot be used").seen(key + "=" + json_text(value)).expected(expected);
}

// A number, or a list of one number a token, each from `least` to `most` -> (1, 1) or (1, tokens) float32.
at::Tensor by_token(const std::string& key, const Json& value, int64_t tokens, double least, double most,
                    const std::string& expected) {
  std::vector<float> numbers;
  const auto add = [&](const Json& number) {
    const double x = number.is_number() ? number.get<double>() : std::nan("");
    if (!(x >= least && x <= most)) refuse(key, number, expected);
    numbers.push_back(static_cast<float>(x));
  };
  if (value.is_array()) {
    if (static_cast<int64_t>(value.size()) != tokens) {
      throw Error(Code::kUsage, "the option is not of this text")
          .seen(key + " of " + std::to_string(value.size()) + " numbers")
          .expected("one number, or " + std::to_string(tokens) + ": one a token");
    }
    for (const auto& number : value) add(number);
  } else {
    add(value);
  }
  return at::tensor(numbers, at::kFloat).unsqueeze(0);
}

}  // namespace

Json FastPitchModel::synthesis_info() const {
  Json options = {{"pace", "how fast, a number or one a token; 1 as trained"},
                  {"pitch", "shift in semitones, a number or one a token; 0"},
                  {"pitch_shift", "shift in standard deviations of the voice, a number or one a token; 0"},
                  {"pitch_range", "how lively the pitch is: 0 flat, 1 as predicted, -1 upside down; 1"},
                  {"volume", "factor of the amplitude, a number or one a token; 1"}};
  if (module_->has_energy()) options["energy"] = "in place of the predicted one, a number or one a token";
  if (module_->has_speakers()) options["speaker"] = "number of the voice";
  if (module_->takes_reference()) options["reference_audio"] = "recording of the voice to speak with";
  return {{"sample_rate", config_["preprocessor"]["sample_rate"]},
          {"output", "spectrogram"},
          {"front_end", front_end_info(config_["preprocessor"], "preprocessor")},
          {"speakers", module_->speakers()},
          {"options", options}};
}

Values FastPitchModel::parse(const std::string& text, const Json& options) {
  if (!text_) {
    throw Error(Code::kUnavailable, "the model has no text tokenizer")
        .at("text_tokenizer")
        .expected("a model with learn_alignment, or with a text_tokenizer");
  }
  return text_.parse(text, options);
}

FastPitchProsody FastPitchModel::prosody_of(const Json& options, int64_t tokens) {
  FastPitchProsody prosody;
  std::vector<std::string> known = {"pace", "pitch", "pitch_shift", "pitch_range", "volume", "seed", "speaker"};
  if (module_->has_energy()) known.push_back("energy");
  if (module_->takes_reference()) known.push_back("reference_audio");
  for (const auto& [key, value] : options.items()) {
    if (value.is_null() || key == "seed") continue;  // nothing is drawn
    if (key == "pace") {
      prosody.pace = by_token(key, value, tokens, 0.01, 100, "a number from 0.01 to 100");
    } else if (key == "pitch") {
      const at::Tensor semitones = by_token(key, value, tokens, -48, 48, "semitones, from -48 to 48");
      if (semitones.eq(0).all().item<bool>()) continue;
      prosody.pitch_mean = options_.pitch_mean.value_or(0);
      prosody.pitch_std = options_.pitch_std.value_or(0);
      if (!(prosody.pitch_mean > 0) || !(prosody.pitch_std > 0)) {
        throw Error(Code::kUsage, "a shift in semitones needs to know the voice's pitch")
            .at("pitch_mean, pitch_std")
            .seen("none in the model's config")
            .expected("both in Hz, above 0")
            .next("pitch_shift, in standard deviations, needs neither");
      }
      prosody.pitch_ratio = at::exp2(semitones / 12);
    } else if (key == "pitch_shift") {
      prosody.pitch_shift = by_token(key, value, tokens, -10, 10, "standard deviations, from -10 to 10");
    } else if (key == "pitch_range") {
      if (!value.is_number() || std::abs(value.get<double>()) > 10) refuse(key, value, "a number from -10 to 10");
      prosody.pitch_range = value.get<double>();
    } else if (key == "volume") {
      prosody.volume = by_token(key, value, tokens, 0, 100, "a number from 0 to 100");
    } else if (key == "energy" && module_->has_energy()) {
      prosody.energy = by_token(key, value, tokens, -1000, 1000, "a number");
    } else if (key == "reference_audio" && module_->takes_reference()) {
      if (!value.is_string()) refuse(key, value, "the path of a recording");
      audio::AudioLoadOptions load;
      load.target_sr = config_["preprocessor"]["sample_rate"].get<int64_t>();
      const audio::AudioSegment audio = audio::load_audio(value.get<std::string>(), load, key);
      if (audio.channels != 1 || audio.samples.empty())
        refuse(key, value, "a recording with one channel, not " + std::to_string(audio.channels));
      const Values mel = front_end_({{"input_signal", at::tensor(audio.samples, at::kFloat).unsqueeze(0)},
                                     {"length", at::full({1}, audio.frames(), at::kLong)}});
      prosody.reference_spec = mel.tensor("processed_signal");
      prosody.reference_spec_lens = mel.tensor("processed_length");
    } else if (key == "speaker") {
      if (!value.is_number_integer()) refuse(key, value, "the number of a voice");
      if (module_->speakers() == 0 && value != Json(0)) refuse(key, value, "no speaker: the model has one voice");
      prosody.speaker = at::full({1}, value.get<int64_t>(), at::kLong);
    } else {
      std::string list;
      for (const auto& name : known) list += (list.empty() ? "" : ", ") + name;
      throw Error(Code::kUsage, "the model takes no such option")
          .seen(key)
          .expected(list)
          .candidates(nearest_names(key, known));
    }
  }
  return prosody;
}

// The spectrogram of audio whose amplitude is `volume` (B, T) times as large.
at::Tensor FastPitchModel::louder(const at::Tensor& spect, const at::Tensor& volume) const {
  const Json info = front_end_info(config_["preprocessor"], "preprocessor");
  const at::Tensor factor = at::pow(volume.unsqueeze(1), info["mag_power"].get<double>());
  if (info["log"] != Json(true)) return spect * factor;
  const Json& given = info["log_zero_guard_value"];
  const double guard = given.is_number() ? given.get<double>() : given == Json("eps") ? 1.1920929e-07 : 1.1754944e-38;
  if (info["log_zero_guard_type"] == Json("clamp")) return at::log((at::exp(spect) * factor).clamp_min(guard));
  return at::log((at::exp(spect) - guard).clamp_min(0) * factor + guard);
}

Values FastPitchModel::synthesize(const Values& parsed, const Json& options) {
  const at::NoGradGuard no_grad;
  const at::Tensor& tokens = parsed.tensor("tokens");
  const FastPitchOutput out = module_->infer(tokens, prosody_of(options, tokens.size(1)));
  return {{"spect", out.volume.defined() ? louder(out.spect, out.volume) : out.spect},
          {"durations", out.durs_predicted}};
}

}  // namespace fathom::tts
