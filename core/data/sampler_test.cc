#include "core/data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace fathom {
namespace {

TEST(Sampler, OrderDependsOnSeedAndEpochOnly) {
  EXPECT_EQ(epoch_order(100, true, 1, 2), epoch_order(100, true, 1, 2));
  EXPECT_NE(epoch_order(100, true, 1, 2), epoch_order(100, true, 2, 2));
  EXPECT_NE(epoch_order(100, true, 1, 2), epoch_order(100, true, 1, 3));
  EXPECT_EQ(epoch_order(3, false, 1, 2), (std::vector<int64_t>{0, 1, 2}));
}

std::vector<double> some_lengths(size_t count) {
  std::vector<double> lengths;
  for (size_t i = 0; i < count; ++i) lengths.push_back(0.1 * static_cast<double>(1 + mix_seed(i, 1, 2) % 40));
  return lengths;
}

TEST(Sampler, FilledBatchesKeepTheLimitAndTheirNumber) {
  const auto lengths = some_lengths(1000);
  constexpr double kLimit = 12;
  const FilledBatches filled(lengths, kLimit);
  const BatchList sorted = filled.of_epoch(false, 1, 0);
  double before = 0;
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    const BatchList batches = filled.of_epoch(true, 1, epoch);
    EXPECT_EQ(batches.size(), sorted.size());
    for (size_t b = 0; b + 1 < batches.starts.size(); ++b) {
      double longest = 0;
      for (int64_t i = batches.starts[b]; i < batches.starts[b + 1]; ++i)
        longest = std::max(longest, lengths[static_cast<size_t>(batches.items[static_cast<size_t>(i)])]);
      EXPECT_LE(longest * static_cast<double>(batches.starts[b + 1] - batches.starts[b]), kLimit * (1 + 1e-9));
    }
    EXPECT_EQ(std::set<int64_t>(batches.items.begin(), batches.items.end()).size(), 1000u);
    EXPECT_EQ(batches.items, filled.of_epoch(true, 1, epoch).items);
    EXPECT_NE(batches.items, filled.of_epoch(true, 1, epoch + 1).items);
    EXPECT_NE(batches.items, filled.of_epoch(true, 2, epoch).items);
  }
  // In order they are filled as far as they go: no batch could take the first item of the next.
  for (size_t b = 0; b + 2 < sorted.starts.size(); ++b) {
    const auto next = static_cast<size_t>(sorted.items[static_cast<size_t>(sorted.starts[b + 1])]);
    EXPECT_GT(lengths[next] * static_cast<double>(sorted.starts[b + 1] - sorted.starts[b] + 1), kLimit);
    EXPECT_LE(before, lengths[next]);
    before = lengths[next];
  }
}

TEST(Sampler, ItemsOfEqualLengthChangePlacesOverBatches) {
  const FilledBatches filled(std::vector<double>(40, 1.0), 4);
  const auto first_batch = [&](int64_t epoch) {
    const BatchList batches = filled.of_epoch(true, 3, epoch);
    EXPECT_EQ(batches.size(), 10);
    return std::set<int64_t>(batches.items.begin(), batches.items.begin() + 4);
  };
  EXPECT_NE(first_batch(0), first_batch(1));
}

TEST(Sampler, FilledBatchesAtTheEdges) {
  EXPECT_EQ(FilledBatches({}, 1).of_epoch(true, 0, 0).size(), 0);
  EXPECT_EQ(FilledBatches({2, 3}, 1).of_epoch(true, 0, 0).size(), 0) << "too long, each of them";
  EXPECT_EQ(FilledBatches({1, 5, 1}, 2).of_epoch(false, 0, 0).items, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(FilledBatches({0, 0, 0}, 1).of_epoch(true, 0, 0).size(), 1);
  // 3 * 0.1 is a little more than 0.3.
  EXPECT_EQ(FilledBatches({0.1, 0.1, 0.1}, 0.3).of_epoch(false, 0, 0).size(), 1);
}

}  // namespace
}  // namespace fathom
