// JSON to the values of a checkpoint and back: callbacks', loggers' and schedulers' state crosses the plugin boundary
// as JSON and is kept in checkpoints as plain Python data.
#pragma once

#include "core/archive/pickle_value.h"
#include "fathom/support.h"

namespace fathom::checkpoint {

PickleValue json_to_pickle(const Json& json);
// Tensors and objects become their type's name: what cannot be JSON is only looked at.
Json pickle_to_json(const PickleValue& value);

}  // namespace fathom::checkpoint
