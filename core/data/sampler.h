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

// Batches of one epoch: batch b holds items[starts[b]] … items[starts[b + 1] - 1].
struct BatchList {
  std::vector<int64_t> items, starts = {0};
  int64_t size() const { return static_cast<int64_t>(starts.size()) - 1; }
  void add(const int64_t* indices, size_t count) {
    items.insert(items.end(), indices, indices + count);
    starts.push_back(static_cast<int64_t>(items.size()));
  }
};

// Batches of items of like length: the items, sorted by length, are cut into `buckets` equal parts; with `shuffle` each
// part is shuffled, and so are the batches, by a generator seeded with (seed, epoch). What does not fill a batch of its
// part joins the leftovers of the others, shortest first. Every epoch has equally many batches.
BatchList bucketed_batches(const std::vector<double>& lengths, int64_t batch_size, int64_t buckets, bool shuffle,
                           bool drop_last, uint64_t seed, int64_t epoch);

// Batches filled to a limit: the items, sorted by length, are cut so that the padded total of a batch (its longest item
// times their number) does not exceed `limit`. Where the cuts lie depends on the lengths alone, so every epoch has
// equally many batches; with shuffle, items of equal length change places, and the batches come in an order drawn from
// (seed, epoch). A single item longer than the limit gets no batch.
class FilledBatches {
 public:
  FilledBatches() = default;
  FilledBatches(const std::vector<double>& lengths, double limit);
  BatchList of_epoch(bool shuffle, uint64_t seed, int64_t epoch) const;

 private:
  BatchList sorted_;
  std::vector<int64_t> runs_ = {0};  // of items of equal length, as starts in sorted_.items
};
// Whether `count` items of at most `length` exceed the limit; sums of decimals that come to it do not.
bool exceeds(double length, int64_t count, double limit);

}  // namespace fathom
