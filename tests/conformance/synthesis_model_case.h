// Recorded models that speak: vocoders and acoustic models, restored from their .nemo.
#pragma once

#include "tests/conformance/suite.h"

namespace fathom::conformance {

// nemo_models/models/hifigan*: front-ends, audio, and what the critics say and cost.
Outcome run_vocoder(const Case& c, const std::string& nemo);
// nemo_models/models/fastpitch: tokens and spectrograms of texts, and a teacher-forced pass with its losses.
Outcome run_fastpitch(const Case& c, const std::string& nemo);
// nemo_models/models_old/tacotron2: tokens, encodings, frames.
Outcome run_tacotron2(const Case& c, const std::string& nemo);
// nemo_models_v1/hifigan*, fastpitch*: the same of NeMo 1.23, with gradients.
Outcome run_v1_vocoder(const Case& c);
Outcome run_v1_fastpitch(const Case& c);

}  // namespace fathom::conformance
