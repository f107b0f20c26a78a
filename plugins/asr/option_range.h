// How far options of this collection may go (plugins/lib/option_range.h).
#pragma once

#include "plugins/lib/option_range.h"

namespace fathom::asr {

// Frames of the longest audio that one item may be padded to: eleven minutes of 10 ms.
constexpr int64_t kMostFrames = 1 << 16;
// Hz. All audio of a model is resampled to its rate.
constexpr int64_t kHighestRate = 768'000;

}  // namespace fathom::asr
