// The order of items in an epoch, and the seed of each item: pure functions, so that nothing has to be saved but
// numbers.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom {

// A well-mixed 64-bit hash of (seed, a, b): Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
// 2014.
uint64_t mix_seed(uint64_t seed, uint64_t a, uint64_t b);

// Indices 0..size-1, shuffled (Fisher-Yates) by a generator seeded with (seed, epoch), or in order.
std::vector<int64_t> epoch_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch);

}  // namespace fathom
