// Perturbations of audio in training: `augmentor: {TYPE: {prob: p, …options}}`, each applied with its probability, in
// order. Types: speed, gain, silence, shift, white_noise. NeMo's others are refused by name. Uses no torch;
// thread-safe: the only randomness is the caller's generator.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "fathom/support.h"
#include "plugins/lib/audio/audio_segment.h"

namespace fathom::audio {

using Rng = std::mt19937_64;
// Uniform in [low, high), the same on every platform.
double uniform(Rng& rng, double low, double high);

class Perturbation {
 public:
  virtual ~Perturbation() = default;
  virtual void apply(AudioSegment& audio, Rng& rng) const = 0;
};

// One perturbation from its options. Errors name `path`.
std::unique_ptr<Perturbation> make_perturbation(const std::string& type, const Json& options, const std::string& path);

class AudioAugmentor {
 public:
  // A null or empty config does nothing.
  AudioAugmentor() = default;
  AudioAugmentor(const Json& config, const std::string& path);
  void apply(AudioSegment& audio, Rng& rng) const;
  bool empty() const { return steps_.empty(); }

 private:
  struct Step {
    double probability;
    std::unique_ptr<Perturbation> perturbation;
  };
  std::vector<Step> steps_;
};

}  // namespace fathom::audio
