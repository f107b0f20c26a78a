// Checks of what a pickle built. Internal to pickle_reader. Thread-safe: no state.
#pragma once

#include <unordered_set>

#include "core/archive/pickle_value.h"

namespace fathom::checkpoint {

// Checks that a value may be walked recursively: acyclic, at most kMaxPickleDepth deep, and of a size in proportion to
// its pickle's (`pickle_bytes`) when its shared parts are written out each time. Error(kBadData) otherwise. Returns the
// identities of all containers reached.
std::unordered_set<const void*> check_pickle_graph(const PickleValue& root, uint64_t pickle_bytes);

// Error(kBadData) unless every element of the tensor lies in its storage, and nothing overflows on the way.
void check_tensor_bounds(const PickleTensor& tensor);

}  // namespace fathom::checkpoint
