// Losses that are no numbers end a run with their name.
#pragma once

#include <string>

#include "fathom/model.h"

namespace fathom::tts {

// Throws Error (kFailed) where `loss`, a scalar, is infinite or no number.
void require_finite(const at::Tensor& loss, const std::string& name, const Step& step);

}  // namespace fathom::tts
