// The front-end of a speech model: whose convention it follows, and its twin for inference.
#pragma once

#include <utility>
#include <vector>

#include "fathom/module.h"

namespace fathom::asr {

constexpr const char* kDefaultPreprocessor = "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor";

// While it lives, a restored model's config says how the NeMo that wrote it computed. Weights of a NeMo before 2.5 were
// trained on its front-end (reflected edges, one frame more): where the config leaves preprocessor.front_end open, that
// one is asked for. So is a Conformer's subsampling as it was then (encoder.subsampling_conv_masking: false).
// Afterwards the config is what the file had, so that NeMo knows every key when it is saved again: its nemo_version
// says the rest. A model that is no restored one is of this version, whatever its config was copied from.
class VersionConventions {
 public:
  VersionConventions(Json& model_config, bool restoring);
  ~VersionConventions();
  VersionConventions(const VersionConventions&) = delete;
  VersionConventions& operator=(const VersionConventions&) = delete;

 private:
  void add(const char* section, const char* key, Json value);
  Json& config_;
  std::vector<std::pair<const char*, const char*>> added_;  // section, key
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
