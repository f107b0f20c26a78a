// What is to be spoken, and what came of it. No torch in this header.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fathom/json.h"

namespace fathom {

struct SynthesisRequest {
  std::string model;    // .nemo of a model that speaks
  std::string vocoder;  // .nemo of a vocoder; "" where the model makes audio itself, or for vocoder_section
  // A vocoder that needs no file, by its section; used where a vocoder is needed and none is given. What the model says
  // of its spectrograms is added as `front_end`.
  Json vocoder_section = nullptr;
  Json options = Json::object();          // of every utterance: speaker, pace, seed, …
  Json vocoder_options = Json::object();  // denoise, …
  bool normalize = true;
  int64_t chunk_frames = 256;  // of a spectrogram that are vocoded together; 0: all
  int threads = 0;             // 0: all cores
};

// One text and where its audio goes.
struct Utterance {
  std::string text;
  Json options = Json::object();  // take the place of the request's
};

// Receives what is spoken, in order. Any of them may throw to end the synthesis.
struct SynthesisSink {
  // Before the first samples of any utterance.
  std::function<void(int64_t sample_rate)> begin;
  // A piece of the audio, from -1 to 1.
  std::function<void(const float* samples, size_t count)> samples;
  // An utterance has ended: {text, normalized_text?, tokens, frames?, duration, skipped?, first_audio_seconds,
  // seconds}.
  std::function<void(const Json& report)> end;
};

}  // namespace fathom
