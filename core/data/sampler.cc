#include "core/data/sampler.h"

#include <numeric>
#include <utility>

namespace fathom {
namespace {

uint64_t splitmix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

// Unbiased number below `bound`: Lemire, "Fast random integer generation in an interval", 2019.
uint64_t below(uint64_t bound, uint64_t& state) {
  unsigned __int128 product = static_cast<unsigned __int128>(splitmix(state)) * bound;
  if (static_cast<uint64_t>(product) < bound) {
    const uint64_t threshold = -bound % bound;
    while (static_cast<uint64_t>(product) < threshold)
      product = static_cast<unsigned __int128>(splitmix(state)) * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint64_t mix_seed(uint64_t seed, uint64_t a, uint64_t b) {
  uint64_t state = seed;
  uint64_t mixed = splitmix(state);
  state = mixed ^ a;
  mixed = splitmix(state);
  state = mixed ^ b;
  return splitmix(state);
}

std::vector<int64_t> epoch_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (!shuffle) return order;
  constexpr uint64_t kShuffleStream = 0x73687566666c65ULL;  // keeps the order apart from the items' own seeds
  uint64_t state = mix_seed(seed, kShuffleStream, static_cast<uint64_t>(epoch));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[below(i, state)]);
  return order;
}

}  // namespace fathom
