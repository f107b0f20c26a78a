// nemo_models/models: encoder-decoder models with prompts (Canary), which have recordings of their own kind.
#pragma once

#include "tests/conformance/suite.h"

namespace fathom::conformance {

// `nemo` is the case's archive.
Outcome run_multitask_model(const Case& c, const std::string& nemo);

}  // namespace fathom::conformance
