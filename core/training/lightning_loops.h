// The entry "loops" of a checkpoint: the state of Lightning 2.4's loops, so that its Trainer continues where ours
// stood.
#pragma once

#include "core/training/run_state.h"

namespace fathom::training {

// `accumulate`: batches to an optimizer step. `manual`: the model stepped its optimizers itself, which Lightning counts
// apart.
checkpoint::PickleValue lightning_loops(const RunState& run, int64_t accumulate, bool manual);

}  // namespace fathom::training
