// Models that speak: `SpeechSynthesizer` makes a spectrogram or audio of text ("fathom.speech_synthesis/1"), `Vocoder`
// makes audio of a spectrogram ("fathom.vocoder/1"). `fathom synthesize` joins any of the one with any of the other.
//
//   class FastPitchModel final : public fathom::Model, public fathom::SpeechSynthesizer { … };
//   class HifiGanModel final : public fathom::Model, public fathom::Vocoder, public fathom::ManualOptimization { … };
//
// Both say in their info what the spectrogram between them is ("front_end"), in the terms of NeMo's preprocessor
// sections: {sample_rate, n_fft, n_window_size, n_window_stride, window, features, lowfreq, highfreq, mel_norm,
// mag_power, log, log_zero_guard_type, log_zero_guard_value}. Where the two differ the program refuses, and shows both.
#pragma once

#include <memory>

#include "fathom/abi/synthesis.h"
#include "fathom/capability.h"
#include "fathom/values.h"

namespace fathom {

class SpeechSynthesizer {
 public:
  virtual ~SpeechSynthesizer() = default;
  // {"sample_rate": Hz, "output": "spectrogram" | "audio", "front_end": {…} of a spectrogram, "speakers": how many, 0
  // for
  //  a model of one voice, "options": {"pace": "what it does, and its default", …} that synthesize() takes}
  virtual Json synthesis_info() const = 0;
  // What will be spoken: `tokens` (1 T) int64, and where they are known `text`, the normalised text, and `skipped`, the
  // symbols of it that the model has no token for, with counts, as a JSON object in text. Options: {"normalize": bool}.
  // Throws Error(kBadData) for a text that leaves nothing to speak.
  virtual Values parse(const std::string& text, const Json& options) = 0;
  // Of what parse() gave: `spect` (1 D T), or `audio` (1 T) of floats from -1 to 1; `durations` (1 tokens), frames a
  // token, where the model knows them. Options: {"speaker": index, "pace", "pitch", …, "seed"}; null or absent is the
  // default, another key Error(kUsage).
  virtual Values synthesize(const Values& parsed, const Json& options) = 0;
};

class Vocoder {
 public:
  virtual ~Vocoder() = default;
  // {"sample_rate": Hz, "hop_length": samples a frame, "front_end": {…}, "context": frames on either side that a
  // frame's
  //  samples depend on, or null where all depend on all: then nothing is vocoded in chunks, "alignment"?: chunks begin
  //  at multiples of so many frames, 1 where it is left out}
  virtual Json vocoder_info() const = 0;
  // `spect` (B D T) -> `audio` (B T·hop_length). What lies beyond the ends counts as the model's own padding does, so
  // that a chunk with its context gives the bits of the whole but for rounding. Options: {"denoise": strength, "seed"};
  // null or absent is the default, another key Error(kUsage).
  virtual Values vocode(const Values& input, const Json& options) = 0;
};

template <>
struct Capability<SpeechSynthesizer> {
  static constexpr std::string_view id = FATHOM_SPEECH_SYNTHESIS_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_speech_synthesis_v1 table = {
        sizeof(fathom_speech_synthesis_v1),
        [](void* self, const fathom_text_sink* json) {
          return guard([&] { write(json, json_text(Get::get(self).synthesis_info())); });
        },
        [](void* self, fathom_str text, fathom_str options, const fathom_sink* parsed) {
          return guard([&] {
            emit(parsed, Get::get(self).parse(to_string(text), parse_json(options, "options of a synthesis")));
          });
        },
        [](void* self, const fathom_named_value* parsed, size_t count, fathom_str options, const fathom_sink* spoken) {
          return guard([&] {
            emit(spoken, Get::get(self).synthesize(Values::from_abi(parsed, count),
                                                   parse_json(options, "options of a synthesis")));
          });
        }};
    return &table;
  }
};

template <>
struct Capability<Vocoder> {
  static constexpr std::string_view id = FATHOM_VOCODER_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_vocoder_v1 table = {
        sizeof(fathom_vocoder_v1),
        [](void* self, const fathom_text_sink* json) {
          return guard([&] { write(json, json_text(Get::get(self).vocoder_info())); });
        },
        [](void* self, const fathom_named_value* input, size_t count, fathom_str options, const fathom_sink* output) {
          return guard([&] {
            emit(output,
                 Get::get(self).vocode(Values::from_abi(input, count), parse_json(options, "options of a vocoder")));
          });
        }};
    return &table;
  }
};

// A model that speaks, on the caller's side; the object must live as long. Throws Error(kUnavailable) for another
// model.
class SpeechSynthesizerHandle {
 public:
  explicit SpeechSynthesizerHandle(const fathom_object& model)
      : table_(query<fathom_speech_synthesis_v1>(model, FATHOM_SPEECH_SYNTHESIS_EXTENSION)) {
    if (!table_) {
      throw Error(Code::kUnavailable, "'" + to_string(model.component->name) + "' does not speak")
          .expected("a model that makes a spectrogram or audio of text");
    }
  }
  Json info() const {
    return read_json([&](const fathom_text_sink* sink) { return table_->info(table_.self(), sink); });
  }
  Values parse(std::string_view text, const Json& options = Json::object()) const {
    const std::string json = json_text(options);
    return collect_values(
        [&](const fathom_sink* out) { return table_->parse(table_.self(), to_abi(text), to_abi(json), out); });
  }
  Values synthesize(const Values& parsed, const Json& options = Json::object()) const {
    const std::string json = json_text(options);
    const AbiValues in(parsed);
    return collect_values([&](const fathom_sink* out) {
      return table_->synthesize(table_.self(), in.data(), in.size(), to_abi(json), out);
    });
  }

 private:
  Extension<fathom_speech_synthesis_v1> table_;
};

// The same for a vocoder.
class VocoderHandle {
 public:
  explicit VocoderHandle(const fathom_object& model)
      : table_(query<fathom_vocoder_v1>(model, FATHOM_VOCODER_EXTENSION)) {
    if (!table_) {
      throw Error(Code::kUnavailable, "'" + to_string(model.component->name) + "' is no vocoder")
          .expected("a model that makes audio of a spectrogram");
    }
  }
  Json info() const {
    return read_json([&](const fathom_text_sink* sink) { return table_->info(table_.self(), sink); });
  }
  Values vocode(const Values& input, const Json& options = Json::object()) const {
    const std::string json = json_text(options);
    const AbiValues in(input);
    return collect_values(
        [&](const fathom_sink* out) { return table_->vocode(table_.self(), in.data(), in.size(), to_abi(json), out); });
  }

 private:
  Extension<fathom_vocoder_v1> table_;
};

}  // namespace fathom
