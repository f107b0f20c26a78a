#include "core/data/data_loader.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

#include "core/data/sampler.h"

namespace fathom {
namespace {

struct Number {
  int64_t index;
  uint64_t seed;
};
class Numbers final : public DatasetOf<Number> {
 public:
  explicit Numbers(int64_t size, int64_t bad = -1) : size_(size), bad_(bad) {}
  int64_t size() const override { return size_; }
  Number get(int64_t index, uint64_t seed) const override {
    if (index == bad_) throw Error(Code::kBadData, "item is broken").at("numbers", index);
    return {index, seed};
  }
  Values collate(const std::vector<const Number*>& samples) const override {
    std::vector<int64_t> rows;
    for (const auto* sample : samples) {
      rows.push_back(sample->index);
      rows.push_back(static_cast<int64_t>(sample->seed));
    }
    return {{"rows", at::tensor(rows).view({-1, 2})}};
  }

 private:
  int64_t size_, bad_;
};

std::unique_ptr<DataLoader> loader(int64_t size, LoaderOptions options, int64_t bad = -1) {
  return std::make_unique<DataLoader>(DatasetHandle(MadeDataset(std::make_shared<Numbers>(size, bad)).object()),
                                      options, 7);
}

std::vector<at::Tensor> epoch(DataLoader& from, int64_t number, int64_t first = 0) {
  std::vector<at::Tensor> out;
  from.start_epoch(number, first);
  while (auto batch = from.next()) out.push_back(batch->tensor("rows"));
  return out;
}

TEST(DataLoader, EveryItemOnceAndTheLastBatchShort) {
  auto data = loader(10, {.batch_size = 4, .shuffle = true});
  const auto batches = epoch(*data, 0);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[2].size(0), 2);
  std::set<int64_t> seen;
  for (const auto& batch : batches) {
    for (int64_t i = 0; i < batch.size(0); ++i) seen.insert(batch[i][0].item<int64_t>());
  }
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_EQ(loader(10, {.batch_size = 4, .drop_last = true})->size(), 2);
}

TEST(DataLoader, WorkersChangeNothing) {
  auto alone = loader(103, {.batch_size = 8, .shuffle = true});
  auto threaded = loader(103, {.batch_size = 8, .shuffle = true, .num_workers = 3});
  for (int64_t e = 0; e < 3; ++e) {
    const auto a = epoch(*alone, e), b = epoch(*threaded, e);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].equal(b[i]));
  }
  EXPECT_FALSE(epoch(*alone, 0)[0].equal(epoch(*alone, 1)[0])) << "epochs must differ";
}

TEST(DataLoader, StartsInTheMiddleAndAbandonsAnEpoch) {
  auto data = loader(64, {.batch_size = 4, .shuffle = true, .num_workers = 2});
  const auto whole = epoch(*data, 5);
  data->start_epoch(6);
  ASSERT_TRUE(data->next());  // abandoned here
  const auto rest = epoch(*data, 5, 10);
  ASSERT_EQ(rest.size(), whole.size() - 10);
  for (size_t i = 0; i < rest.size(); ++i) EXPECT_TRUE(rest[i].equal(whole[i + 10]));
}

TEST(DataLoader, AnItemsErrorArrivesWithItsBatch) {
  for (const int64_t workers : {0, 2}) {
    auto data = loader(12, {.batch_size = 2, .num_workers = workers}, /*bad=*/5);
    data->start_epoch(0);
    EXPECT_TRUE(data->next());
    EXPECT_TRUE(data->next());
    try {
      data->next();
      FAIL() << "the third batch holds the broken item";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadData);
      EXPECT_EQ(error.where(), "numbers:5");
    }
  }
}

TEST(DataLoader, RefusesImpossibleOptions) {
  EXPECT_THROW(LoaderOptions::from_section(Json{{"batch_size", 0}}, "model.train_ds"), Error);
  EXPECT_THROW(LoaderOptions::from_section(Json{{"batch_size", "many"}}, "model.train_ds"), Error);
  EXPECT_TRUE(LoaderOptions::from_section(Json{{"labels", Json::array()}}, "model.train_ds", true).shuffle);
}

TEST(Sampler, OrderDependsOnSeedAndEpochOnly) {
  EXPECT_EQ(epoch_order(100, true, 1, 2), epoch_order(100, true, 1, 2));
  EXPECT_NE(epoch_order(100, true, 1, 2), epoch_order(100, true, 2, 2));
  EXPECT_NE(epoch_order(100, true, 1, 2), epoch_order(100, true, 1, 3));
  EXPECT_EQ(epoch_order(3, false, 1, 2), (std::vector<int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace fathom
