// Recorded language models and encoders.
#pragma once

#include "tests/conformance/suite.h"

namespace fathom::conformance {

// A folder of an encoder of the transformers library: config.json, model.safetensors, io.safetensors, grads.json.
Outcome run_v1_encoder(const Case& c);

}  // namespace fathom::conformance
