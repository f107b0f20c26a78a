// What is computed of a recording before a training, under NeMo's names (nemo.collections.tts.parts.preprocessing
// .features): MelSpectrogramFeaturizer, EnergyFeaturizer, PitchFeaturizer. Thread-safe once made.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "fathom/options.h"

namespace fathom::tts {

class Featurizer {
 public:
  struct Feature {
    std::string name;
    bool is_mask = false;    // bool, else float32
    at::Tensor values = {};  // (T) or (D,T)
  };
  virtual ~Featurizer() = default;
  // What compute() gives, without values.
  virtual std::vector<Feature> features() const = 0;
  // Of `audio` (S) float32 at sample_rate(), its volume as it is. 1 + S / hop_length() frames.
  virtual std::vector<Feature> compute(const at::Tensor& audio, const std::string& where) const = 0;
  // What the values hang on, for those who keep them.
  virtual Json settings() const = 0;

  int64_t sample_rate() const { return sample_rate_; }
  int64_t hop_length() const { return hop_length_; }
  bool volume_norm() const { return volume_norm_; }

 protected:
  int64_t sample_rate_ = 0, hop_length_ = 0;
  bool volume_norm_ = true;
};

// Of a section {NAME: {_target_: …PitchFeaturizer, …}}; null: none. Throws Error (kFailed): an unknown _target_,
// options, a feature's name that stands twice.
std::vector<std::unique_ptr<Featurizer>> make_featurizers(const Json& section, const std::string& path);

// The loudest sample at 0.95; silence stays.
at::Tensor normalized_volume(const at::Tensor& audio);

}  // namespace fathom::tts
