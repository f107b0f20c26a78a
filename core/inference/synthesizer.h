// Text to audio with a restored model and a vocoder.
#pragma once

#include <memory>

#include "core/inference/synthesis_request.h"

namespace fathom {

// Holds both models. One call at a time.
class Synthesizer {
 public:
  // Restores what the request names, and sees that they fit: Error(kBadData) showing both front-ends where the
  // vocoder's spectrogram is not the model's; kUnavailable for a model that does not speak, or for a missing vocoder.
  explicit Synthesizer(const SynthesisRequest& request);
  ~Synthesizer();
  // Speaks one text, sentence by sentence, so that memory does not grow with it, and each spectrogram in chunks of
  // request.chunk_frames with the context that the vocoder asks for: the same audio as of the whole but for rounding.
  // An interrupt ends it with Error(kInterrupted).
  void speak(const Utterance& utterance, const SynthesisSink& sink);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom
