// The front-end of a speech model: whose convention it follows, and its twin for inference.
#pragma once

#include <utility>
#include <vector>

#include "fathom/module.h"

namespace fathom::asr {

constexpr const char* kDefaultPreprocessor = "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor";

// While it lives, a model's config says how the NeMo of its nemo_version computed. Weights of a NeMo before 2.5 were
// trained on its front-end (reflected edges, one frame more: preprocessor.front_end: nemo1) and a Conformer's
// subsampling as it was then (encoder.subsampling_conv_masking: false). A model that is no restored one is of this
// version, whatever its config was copied from.
//
// Afterwards the config has neither key, for NeMo knows them not, and its nemo_version says the same. Where a config
// gives one of the keys itself, that decides: all are of one version, and nemo_version becomes one that computed so.
// Throws Error where the keys contradict each other: no NeMo computes like that, and nemo_version could not say it; and
// for preprocessor.use_grads, which nothing in a file could say.
class VersionConventions {
 public:
  VersionConventions(Json& model_config, bool restoring);
  ~VersionConventions();
  VersionConventions(const VersionConventions&) = delete;
  VersionConventions& operator=(const VersionConventions&) = delete;

 private:
  struct Key {
    const char *section, *name;
    Json old_value, value;  // before 2.5, and since
  };
  std::vector<Key> keys_of_config() const;

  Json& config_;
  std::vector<Key> keys_;
};

// Seconds from one frame of a front-end to the next, by its section.
double frame_stride(const Json& section, int64_t sample_rate);

// A front-end with the window and filters of another one, without dither and without padding to a multiple of frames,
// as NeMo transcribes. Those are options of the constructor, hence a second module. Used by one thread at a time.
class InferenceFrontEnd {
 public:
  // Made when first asked for, from the section `original` was made from; then follows the original's buffers, device
  // and dtype. Works in inference mode too.
  ModuleHandle& follow(const ModuleHandle& original, const Json& section, const std::string& config_path);

 private:
  ModuleHandle module_;
};

}  // namespace fathom::asr
