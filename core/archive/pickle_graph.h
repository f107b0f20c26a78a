// Checks of what a pickle built. Internal to pickle_reader. Thread-safe: no state.
#pragma once

#include <unordered_set>

#include "core/archive/pickle_value.h"

namespace fathom::checkpoint {

// Checks that a value may be walked recursively: acyclic, at most kMaxPickleDepth deep, and of a size in proportion to
// its pickle's (`pickle_bytes`) when its shared parts are written out each time. Error(kBadData) otherwise. Returns the
// identities of all containers reached.
std::unordered_set<const void*> check_pickle_graph(const PickleValue& root, uint64_t pickle_bytes);

}  // namespace fathom::checkpoint
