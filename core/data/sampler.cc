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

namespace {

std::vector<int64_t> sorted_by_length(const std::vector<double>& lengths) {
  std::vector<int64_t> sorted(lengths.size());
  std::iota(sorted.begin(), sorted.end(), int64_t{0});
  std::stable_sort(sorted.begin(), sorted.end(), [&](int64_t a, int64_t b) {
    return lengths[static_cast<size_t>(a)] < lengths[static_cast<size_t>(b)];
  });
  return sorted;
}

// The same batches in an order drawn from `state`.
BatchList shuffled(const BatchList& batches, uint64_t& state) {
  std::vector<int64_t> order(static_cast<size_t>(batches.size()));
  std::iota(order.begin(), order.end(), int64_t{0});
  shuffle_items(order.data(), order.size(), state);
  BatchList out;
  out.items.reserve(batches.items.size());
  for (const int64_t batch : order) {
    const auto at = static_cast<size_t>(batch);
    out.add(batches.items.data() + batches.starts[at],
            static_cast<size_t>(batches.starts[at + 1] - batches.starts[at]));
  }
  return out;
}

}  // namespace

BatchList bucketed_batches(const std::vector<double>& lengths, int64_t batch_size, int64_t buckets, bool shuffle,
                           bool drop_last, uint64_t seed, int64_t epoch) {
  const auto size = static_cast<int64_t>(lengths.size());
  std::vector<int64_t> sorted = sorted_by_length(lengths);
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
  return shuffle ? shuffled(full, state) : full;
}

bool exceeds(double length, int64_t count, double limit) {
  return length * static_cast<double>(count) > limit * (1 + 1e-9);
}

FilledBatches::FilledBatches(const std::vector<double>& lengths, double limit) {
  std::vector<int64_t> sorted = sorted_by_length(lengths);
  const auto length = [&](size_t at) { return lengths[static_cast<size_t>(sorted[at])]; };
  size_t end = sorted.size();
  while (end > 0 && exceeds(length(end - 1), 1, limit)) --end;
  for (size_t first = 0, at = 0; first < end; first = at) {
    // Lengths ascend: the item that joins is the longest.
    while (at < end && !exceeds(length(at), static_cast<int64_t>(at - first + 1), limit)) ++at;
    sorted_.add(sorted.data() + first, at - first);
  }
  for (size_t at = 1; at <= end; ++at) {
    if (at == end || length(at) != length(at - 1)) runs_.push_back(static_cast<int64_t>(at));
  }
}

BatchList FilledBatches::of_epoch(bool shuffle, uint64_t seed, int64_t epoch) const {
  if (!shuffle) return sorted_;
  uint64_t state = mix_seed(seed, kShuffleStream, static_cast<uint64_t>(epoch));
  BatchList batches = sorted_;
  for (size_t run = 0; run + 1 < runs_.size(); ++run)
    shuffle_items(batches.items.data() + runs_[run], static_cast<size_t>(runs_[run + 1] - runs_[run]), state);
  return shuffled(batches, state);
}

}  // namespace fathom
