// The spectrograms of a model, as its config describes them.
#pragma once

#include <string>

#include "fathom/module.h"

namespace fathom::tts {

// Whether a model's config was saved by a NeMo before 2.5, whose front-ends reflect the edges of the audio. Only a
// restored one can be.
bool has_old_front_end(const Json& config, bool restoring);

// The front-end of section `section`, which may be any preprocessor's, with `changes` put over it.
ModuleHandle make_front_end(Json section, bool old, const std::string& config_path,
                            const Json& changes = Json::object());

// What fathom/synthesis.h calls a front_end, of a section of FilterbankFeatures or AudioToMelSpectrogramPreprocessor.
// Throws Error where the section does not say the sampling rate.
Json front_end_info(const Json& section, const std::string& config_path);

}  // namespace fathom::tts
