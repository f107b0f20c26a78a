#include "core/data/sampler.h"

#include <algorithm>
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

namespace {

constexpr uint64_t kShuffleStream = 0x73687566666c65ULL;  // keeps the order apart from the items' own seeds

// Fisher-Yates.
void shuffle_items(int64_t* items, size_t count, uint64_t& state) {
  for (size_t i = count; i > 1; --i) std::swap(items[i - 1], items[below(i, state)]);
}

}  // namespace

std::vector<int64_t> epoch_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (!shuffle) return order;
  uint64_t state = mix_seed(seed, kShuffleStream, static_cast<uint64_t>(epoch));
  shuffle_items(order.data(), order.size(), state);
  return order;
}

BatchList bucketed_batches(const std::vector<double>& lengths, int64_t batch_size, int64_t buckets, bool shuffle,
                           bool drop_last, uint64_t seed, int64_t epoch) {
  const auto size = static_cast<int64_t>(lengths.size());
  std::vector<int64_t> sorted(lengths.size());
  std::iota(sorted.begin(), sorted.end(), int64_t{0});
  std::stable_sort(sorted.begin(), sorted.end(), [&](int64_t a, int64_t b) {
    return lengths[static_cast<size_t>(a)] < lengths[static_cast<size_t>(b)];
  });
  uint64_t state = mix_seed(seed, kShuffleStream, static_cast<uint64_t>(epoch));
  BatchList full;
  std::vector<int64_t> leftovers;
  for (int64_t bucket = 0; bucket < buckets; ++bucket) {
    const int64_t begin = size * bucket / buckets, end = size * (bucket + 1) / buckets;
    int64_t* items = sorted.data() + begin;
    if (shuffle) shuffle_items(items, static_cast<size_t>(end - begin), state);
    const int64_t whole = (end - begin) / batch_size * batch_size;
    for (int64_t i = 0; i < whole; i += batch_size) full.add(items + i, static_cast<size_t>(batch_size));
    leftovers.insert(leftovers.end(), items + whole, items + (end - begin));
  }
  for (size_t i = 0; i < leftovers.size(); i += static_cast<size_t>(batch_size)) {
    const size_t count = std::min(static_cast<size_t>(batch_size), leftovers.size() - i);
    if (count == static_cast<size_t>(batch_size) || !drop_last) full.add(leftovers.data() + i, count);
  }
  if (!shuffle) return full;
  std::vector<int64_t> order(static_cast<size_t>(full.size()));
  std::iota(order.begin(), order.end(), int64_t{0});
  shuffle_items(order.data(), order.size(), state);
  BatchList out;
  for (const int64_t batch : order) {
    const auto at = static_cast<size_t>(batch);
    out.add(full.items.data() + full.starts[at], static_cast<size_t>(full.starts[at + 1] - full.starts[at]));
  }
  return out;
}

}  // namespace fathom
