// Recorded language models and encoders.
#pragma once

#include "tests/conformance/suite.h"

namespace fathom::conformance {

// A folder of an encoder of the transformers library: config.json, model.safetensors, io.safetensors, grads.json.
Outcome run_v1_encoder(const Case& c);
// textcls_…: a batch as the model's own set makes it, its logits, loss and gradients, the answers to texts, and the
// report over a whole set.
Outcome run_v1_text_classification(const Case& c, const std::string& nemo);

}  // namespace fathom::conformance
