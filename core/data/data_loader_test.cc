#include "core/data/data_loader.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "fathom/lengths.h"
#include "tests/support/error_of.h"

namespace fathom {
namespace {

struct Number {
  int64_t index;
  uint64_t seed;
};
class Numbers : public DatasetOf<Number>, public HasLengths {
 public:
  explicit Numbers(int64_t size, int64_t bad = -1) : size_(size), bad_(bad) {}
  int64_t size() const override { return size_; }
  Number get(int64_t index, uint64_t seed) const override {
    if (index == bad_) throw Error(Code::kBadData, "item is broken").at("numbers", index);
    return {index, seed};
  }
  double length_hint(int64_t index) const override { return 1.0 + static_cast<double>(index % 5); }
  std::vector<std::string> length_units() const override { return {"seconds", "tokens"}; }
  double length(int64_t index, std::string_view unit) const override {
    return length_hint(index) * (unit == "tokens" ? 10 : 1);
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

// Items of which some are broken, each in its way; counts what is read.
class Fragile final : public Numbers {
 public:
  Fragile(int64_t size, std::map<int64_t, Error> broken) : Numbers(size), broken_(std::move(broken)) {}
  Number get(int64_t index, uint64_t seed) const override {
    ++read;
    if (const auto found = broken_.find(index); found != broken_.end()) throw Error(found->second);
    return {index, seed};
  }
  Values collate(const std::vector<const Number*>& samples) const override {
    if (samples.size() == 3) throw Error(Code::kFailed, "three are too many");
    return Numbers::collate(samples);
  }
  mutable std::atomic<int64_t> read = 0;

 private:
  std::map<int64_t, Error> broken_;
};

std::unique_ptr<DataLoader> loader_of(const std::shared_ptr<Fragile>& data, LoaderOptions options) {
  return std::make_unique<DataLoader>(DatasetHandle(MadeDataset(data).object()), options, 7, "model.train_ds");
}

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

TEST(DataLoader, NothingIsReadOfWhatComesBefore) {
  for (const LoaderOptions& options :
       {LoaderOptions{.batch_size = 4, .shuffle = true}, LoaderOptions{.batch_size = 4, .use_bucketing = true},
        LoaderOptions{.shuffle = true, .max_seconds = 20}}) {
    const auto data = std::make_shared<Fragile>(100, std::map<int64_t, Error>{});
    const auto loader = loader_of(data, options);
    loader->start_epoch(0, loader->size() - 1);
    EXPECT_EQ(data->read, 0);
    const auto last = loader->next();
    ASSERT_TRUE(last);
    EXPECT_EQ(data->read, last->tensor("rows").size(0));
  }
}

TEST(DataLoader, BatchesAreFilledToALimitOfSeconds) {
  const auto spoken = [](const at::Tensor& batch) {
    return (1 + batch.select(1, 0).remainder(5).max().item<int64_t>()) * batch.size(0);
  };
  for (const int64_t workers : {0, 2}) {
    const LoaderOptions options{.shuffle = true, .num_workers = workers, .max_seconds = 20};
    const auto data = loader(100, options);
    EXPECT_TRUE(data->plans_batches());
    std::vector<at::Tensor> first = epoch(*data, 0);
    for (int64_t e = 0; e < 3; ++e) {
      const auto batches = epoch(*data, e);
      EXPECT_EQ(static_cast<int64_t>(batches.size()), data->size());
      std::set<int64_t> seen;
      for (const auto& batch : batches) {
        EXPECT_LE(spoken(batch), 20);
        for (int64_t i = 0; i < batch.size(0); ++i) seen.insert(batch[i][0].item<int64_t>());
      }
      EXPECT_EQ(seen.size(), 100u);
      const auto rest = epoch(*data, e, 3);
      ASSERT_EQ(rest.size(), batches.size() - 3);
      for (size_t i = 0; i < rest.size(); ++i) EXPECT_TRUE(rest[i].equal(batches[i + 3]));
    }
    EXPECT_FALSE(epoch(*data, 1)[0].equal(first[0]));
  }
}

TEST(DataLoader, TheUnitOfALimitIsTheDatasets) {
  const auto by_seconds = loader(100, {.max_seconds = 20}), by_tokens = loader(100, {.max_tokens = 200});
  EXPECT_EQ(by_seconds->size(), by_tokens->size());
  EXPECT_NE(by_seconds->options().batching(), by_tokens->options().batching());
  const std::string error = error_of([] { loader(10, {.max_tokens = 40}); });
  EXPECT_NE(error.find("item 4 of dataset with 50.0 tokens"), std::string::npos) << error;

  class Unmeasured final : public DatasetOf<Number> {
   public:
    int64_t size() const override { return 3; }
    Number get(int64_t index, uint64_t seed) const override { return {index, seed}; }
    double length_hint(int64_t) const override { return 1; }
    Values collate(const std::vector<const Number*>&) const override { return {}; }
  };
  const std::string unknown = error_of([] {
    DataLoader(DatasetHandle(MadeDataset(std::make_shared<Unmeasured>()).object()), {.max_seconds = 4}, 7, "model.ds");
  });
  EXPECT_NE(unknown.find("does not tell how many seconds an item has"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("model.ds.max_seconds"), std::string::npos) << unknown;
}

TEST(DataLoader, CountsTheItemsAndSecondsOfABatch) {
  for (const int64_t workers : {0, 2}) {
    const auto data = loader(7, {.batch_size = 5, .num_workers = workers});
    data->start_epoch(0);
    data->next();
    EXPECT_EQ(data->items_of_batch(), 5);
    EXPECT_DOUBLE_EQ(data->seconds_of_batch(), 1 + 2 + 3 + 4 + 5);
    data->next();
    EXPECT_EQ(data->items_of_batch(), 2);
    EXPECT_DOUBLE_EQ(data->seconds_of_batch(), 1 + 2);
  }
}

TEST(DataLoader, ItemsLongerThanABatchAreNamedOrCounted) {
  const std::string error = error_of([] { loader(10, {.max_seconds = 4}); });
  EXPECT_NE(error.find("item 4 of dataset with 5.0 seconds, and 1 more"), std::string::npos) << error;
  EXPECT_NE(error.find("on_too_long=skip"), std::string::npos) << error;
  testing::internal::CaptureStderr();
  const auto kept = loader(10, {.max_seconds = 4, .on_too_long = ItemPolicy::kSkip});
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("2 of 10 items are longer than max_seconds=4.0 and were left out (first: item 4"),
            std::string::npos)
      << log;
  int64_t items = 0;
  for (const auto& batch : epoch(*kept, 0)) items += batch.size(0);
  EXPECT_EQ(items, 8);
  EXPECT_THROW(loader(10, {.max_seconds = 0.5, .on_too_long = ItemPolicy::kSkip}), Error) << "nothing is left";
}

TEST(DataLoader, BrokenItemsAreLeftOutOfTheirBatches) {
  std::map<int64_t, Error> broken = {{3, Error(Code::kBadData, "is no audio").at("m.json", 4)},
                                     {8, Error(Code::kNoInput, "is not there").seen("8.wav")}};
  for (int64_t i = 20; i < 25; ++i) broken.insert({i, Error(Code::kIo, "cannot be read")});
  const auto data = std::make_shared<Fragile>(64, broken);
  std::vector<std::vector<at::Tensor>> seen;
  std::vector<std::string> logs;
  for (const int64_t workers : {0, 3}) {
    const auto skipping =
        loader_of(data, {.batch_size = 16, .shuffle = true, .num_workers = workers, .on_error = ItemPolicy::kSkip});
    EXPECT_EQ(skipping->size(), 4);
    testing::internal::CaptureStderr();
    seen.push_back(epoch(*skipping, 2));
    logs.push_back(testing::internal::GetCapturedStderr());
    const auto rest = epoch(*skipping, 2, 2);
    ASSERT_EQ(rest.size(), 2u);
    for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(rest[i].equal(seen.back()[i + 2]));
  }
  int64_t items = 0;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(seen[0][i].equal(seen[1][i])) << "workers change nothing";
    items += seen[0][i].size(0);
  }
  EXPECT_EQ(items, 57);
  for (const std::string& log : logs) {
    EXPECT_NE(log.find("7 items were left out of epoch 2"), std::string::npos) << log;
    EXPECT_NE(log.find("only counted"), std::string::npos) << log;
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 7) << "five that are named, and two lines more\n" << log;
  }
}

TEST(DataLoader, SkippingStopsAtWhatIsNotTheData) {
  const LoaderOptions options{.batch_size = 2, .on_error = ItemPolicy::kSkip};
  const auto fault = std::make_shared<Fragile>(4, std::map<int64_t, Error>{{1, Error(Code::kInternal, "a fault")}});
  EXPECT_NE(error_of([&] { epoch(*loader_of(fault, options), 0); }).find("item 1 of model.train_ds"),
            std::string::npos);
  // A batch of which nothing is left cannot be handed out, and its number is that of a batch.
  const Error gone = Error(Code::kNoInput, "is not there");
  const auto pair = std::make_shared<Fragile>(6, std::map<int64_t, Error>{{2, gone}, {3, gone}});
  const std::string error = error_of([&] { epoch(*loader_of(pair, options), 0); });
  EXPECT_NE(error.find("every item of a batch is broken"), std::string::npos) << error;
  EXPECT_NE(error.find("batch 1 of epoch 0 of model.train_ds, items 2, 3"), std::string::npos) << error;
  // The items that show how the model is wired are the first that can be read.
  const auto first = std::make_shared<Fragile>(6, std::map<int64_t, Error>{{0, gone}});
  EXPECT_EQ(loader_of(first, options)->first_items(2)->tensor("rows")[0][0].item<int64_t>(), 1);
  EXPECT_THROW(loader_of(first, {.batch_size = 2})->first_items(2), Error);
}

TEST(DataLoader, EveryErrorNamesItsItemOrBatch) {
  const auto data = std::make_shared<Fragile>(
      8,
      std::map<int64_t, Error>{{5, Error(Code::kFailed, "no place")}, {6, Error(Code::kFailed, "placed").at("a.wav")}});
  for (const int64_t workers : {0, 2}) {
    const auto loader = loader_of(data, {.batch_size = 1, .num_workers = workers});
    loader->start_epoch(0, 5);
    EXPECT_NE(error_of([&] { loader->next(); }).find("at: item 5 of model.train_ds"), std::string::npos);
    const std::string placed = error_of([&] { loader->next(); });
    EXPECT_NE(placed.find("placed (item 6 of model.train_ds)\n  at: a.wav"), std::string::npos) << placed;
    const auto threes = loader_of(data, {.batch_size = 3, .num_workers = workers});
    threes->start_epoch(4);
    EXPECT_NE(error_of([&] { threes->next(); }).find("batch 0 of epoch 4 of model.train_ds, items 0, 1, 2"),
              std::string::npos);
    EXPECT_NE(error_of([&] { threes->first_items(3); }).find("the first items of model.train_ds"), std::string::npos);
  }
}

TEST(DataLoader, RefusesImpossibleOptions) {
  EXPECT_THROW(LoaderOptions::from_section(Json{{"batch_size", 0}}, "model.train_ds"), Error);
  EXPECT_THROW(LoaderOptions::from_section(Json{{"batch_size", "many"}}, "model.train_ds"), Error);
  EXPECT_TRUE(LoaderOptions::from_section(Json{{"labels", Json::array()}}, "model.train_ds", true).shuffle);
  const auto refused = [](const Json& section) {
    return error_of([&] { LoaderOptions::from_section(section, "model.train_ds"); });
  };
  EXPECT_NE(refused({{"on_error", "skipp"}}).find("did you mean: skip"), std::string::npos);
  EXPECT_NE(refused({{"max_seconds", 0}}).find("positive"), std::string::npos);
  EXPECT_NE(refused({{"on_too_long", "skip"}}).find("max_seconds"), std::string::npos);
  const Json beside = {{"batch_size", 8}, {"use_bucketing", true}, {"num_buckets", 4}, {"drop_last", true}};
  for (const auto& [key, value] : beside.items()) {
    const std::string error = refused({{"max_seconds", 30}, {key, value}});
    EXPECT_NE(error.find("max_seconds and " + key + " contradict"), std::string::npos) << error;
    EXPECT_NE(error.find("at: model.train_ds." + key), std::string::npos) << error;
  }
  EXPECT_NE(refused({{"max_seconds", 30}, {"max_tokens", 30}}).find("one unit"), std::string::npos);
  EXPECT_EQ(LoaderOptions::from_section(Json{{"max_tokens", 300}}, "model.train_ds").max_tokens, 300);
  const Json both = {{"max_seconds", 30.5}, {"batch_size", nullptr}, {"use_bucketing", false}, {"on_error", "skip"}};
  const auto options = LoaderOptions::from_section(both, "model.train_ds");
  EXPECT_EQ(options.max_seconds, 30.5);
  EXPECT_EQ(options.on_error, ItemPolicy::kSkip);
  EXPECT_NE(options.batching(), LoaderOptions{}.batching());
}

}  // namespace
}  // namespace fathom
