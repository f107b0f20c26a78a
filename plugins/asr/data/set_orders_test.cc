// Orders beside the recorded ones (those are tests/conformance's), and what is said of options that cannot be.
#include "plugins/asr/data/set_orders.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/plugins/host_table.h"
#include "plugins/asr/data/numpy_random.h"

namespace fathom::asr {
namespace {

template <typename Make>
std::string refusal_by(Make make) {
  try {
    make();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}
::testing::AssertionResult tells(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    if (text.find(part) == std::string::npos)
      return ::testing::AssertionFailure() << "'" << part << "' is not in: " << text;
  }
  return ::testing::AssertionSuccess();
}

TEST(NumpyRandom, DrawsWhatNumpyAndPythonDraw) {
  // numpy.random.RandomState(42).random_sample(), .permutation(5); random.seed(1); random.randint(0, 30000)
  EXPECT_DOUBLE_EQ(NumpyRandom(42).uniform(), 0.3745401188473625);
  EXPECT_EQ(NumpyRandom(0).permutation(5), (std::vector<int64_t>{2, 0, 1, 3, 4}));
  EXPECT_EQ(first_python_randint(1, 30000), 4402);
  EXPECT_EQ(first_python_randint(123456789012345, 30000), 22101);
}

TEST(ShardPaths, BracesAreExpanded) {
  const auto all = [](const std::string& pattern) { return expand_braces(pattern, "x"); };
  EXPECT_EQ(all("a_OP_0..2_CL_.tar"), (std::vector<std::string>{"a0.tar", "a1.tar", "a2.tar"}));
  EXPECT_EQ(all("a(08..10).tar"), (std::vector<std::string>{"a08.tar", "a09.tar", "a10.tar"}));
  EXPECT_EQ(all("[3..1]<a,b>"), (std::vector<std::string>{"3a", "3b", "2a", "2b", "1a", "1b"}));
  EXPECT_EQ(all("{0..6..3}"), (std::vector<std::string>{"0", "3", "6"}));
  EXPECT_EQ(all("{x,{1..2}y}"), (std::vector<std::string>{"x", "1y", "2y"}));
  EXPECT_EQ(all("plain.tar"), std::vector<std::string>{"plain.tar"});
  EXPECT_EQ(shard_paths({"a_{0..1}.tar", "b.tar"}, "x"), (std::vector<std::string>{"a_0.tar", "a_1.tar", "b.tar"}));
  EXPECT_EQ(shard_paths("a.tar,b_{1,2}.tar", "x"), (std::vector<std::string>{"a.tar", "b_1.tar", "b_2.tar"}));
}

TEST(ShardPaths, BadPatternsAreToldWithTheirPlace) {
  const auto refusal = [](const Json& value) {
    return refusal_by([&] { shard_paths(value, "train_ds.tarred_audio_filepaths"); });
  };
  EXPECT_TRUE(
      tells(refusal("a_{0..3.tar"), {"train_ds.tarred_audio_filepaths", "opened and not closed", "character 3"}));
  EXPECT_TRUE(tells(refusal("a_0..3_CL_.tar"), {"closed that was not opened"}));
  EXPECT_TRUE(tells(refusal("a_{}.tar"), {"neither a range nor a list"}));
  EXPECT_TRUE(tells(refusal("a_{0..x}.tar"), {"neither a range nor a list"}));
  EXPECT_TRUE(tells(refusal("/data (old)/a.tar"), {"/data {old}/a.tar", "brackets of any kind are braces here"}));
  EXPECT_TRUE(tells(refusal("{0..99999}{0..99999}"), {"more than 1000000 files"}));
  EXPECT_TRUE(tells(refusal("{0..99999999999999999}"), {"neither a range"}));
  EXPECT_TRUE(tells(refusal(Json(3)), {"a pattern, or a list of patterns"}));
  EXPECT_TRUE(tells(refusal(""), {"no file is named"}));
}

TEST(ShardPaths, FewerShardsThanProcessesAreRefused) {
  host_slot() = plugins::host_table();
  const std::vector<std::string> three = {"a", "b", "c"};
  EXPECT_EQ(shards_of_rank(three, "scatter", {1, 2}, "s"), std::vector<std::string>{"b"});
  EXPECT_EQ(shards_of_rank(three, "replicate", {1, 4}, "s"), three);
  EXPECT_TRUE(tells(refusal_by([&] { shards_of_rank(three, "scatter", {0, 4}, "train_ds.tarred_shard_strategy"); }),
                    {"train_ds.tarred_shard_strategy", "3 shards for 4 processes", "replicate"}));
  EXPECT_TRUE(
      tells(refusal_by([&] { shards_of_rank(three, "scater", {}, "s"); }), {"scater", "did you mean: scatter"}));
}

TEST(ShuffledShards, HoldEveryItemOnceInAnotherOrder) {
  const std::vector<int64_t> starts = {0, 5, 5, 12, 20};
  std::vector<int64_t> in_order(20);
  for (int64_t i = 0; i < 20; ++i) in_order[static_cast<size_t>(i)] = i;
  EXPECT_EQ(shuffled_shards(starts, 0, 1), in_order);
  const auto shuffled = shuffled_shards(starts, 4, 1);
  EXPECT_EQ(std::set<int64_t>(shuffled.begin(), shuffled.end()).size(), 20u);
  EXPECT_NE(shuffled, in_order);
  EXPECT_EQ(shuffled_shards(starts, 4, 1), shuffled);
  EXPECT_NE(shuffled_shards(starts, 4, 2), shuffled);
  // With a window of 1 only the shards change places.
  const auto shards_only = shuffled_shards(starts, 1, 3);
  for (size_t i = 1; i < shards_only.size(); ++i) {
    const bool begins = std::find(starts.begin(), starts.end(), shards_only[i]) != starts.end();
    if (!begins) EXPECT_EQ(shards_only[i], shards_only[i - 1] + 1);
  }
}

TEST(ConcatOrder, AnEpochIsTheSameWhicheverWasAskedForBefore) {
  for (const bool seeded : {true, false}) {
    ConcatOptions options;
    if (seeded) options.seed = 5;
    const std::vector<int64_t> sizes = {7, 3, 12};
    const ConcatOrder in_order(options, sizes, "d"), jumping(options, sizes, "d");
    std::vector<std::vector<SetItem>> epochs;
    for (int64_t epoch = 0; epoch < 4; ++epoch) epochs.push_back(in_order.of_epoch(11, epoch));
    EXPECT_NE(epochs[0], epochs[1]);
    EXPECT_EQ(epochs[0].size(), 22u);
    for (const int64_t epoch : {3, 0, 2, 2, 1})
      EXPECT_EQ(jumping.of_epoch(11, epoch), epochs[static_cast<size_t>(epoch)]);
    EXPECT_NE(jumping.of_epoch(12, 1), epochs[1]);
  }
}

TEST(ConcatOrder, WithExhaustEveryItemComes) {
  ConcatOptions options;
  options.exhaust = true;
  options.seed = 3;
  std::set<std::pair<size_t, int64_t>> seen;
  for (const SetItem& at : ConcatOrder(options, {7, 3, 12}, "d").of_epoch(0, 0)) seen.emplace(at.set, at.item);
  EXPECT_EQ(seen.size(), 22u);
}

TEST(ConcatOrder, OptionsThatCannotBeAreTold) {
  const auto refusal = [](const ConcatOptions& options, const std::vector<int64_t>& sizes) {
    return refusal_by([&] { const ConcatOrder order(options, sizes, "model.train_ds"); });
  };
  ConcatOptions options;
  options.technique = "random";
  options.probabilities = {0.5, 0.4};
  EXPECT_TRUE(
      tells(refusal(options, {3, 4}), {"model.train_ds.concat_sampling_probabilities", "do not sum to 1", "0.9"}));
  options.probabilities = {1.5, -0.5};
  EXPECT_TRUE(tells(refusal(options, {3, 4}), {"a probability is negative"}));
  options.probabilities = {1.0};
  EXPECT_TRUE(tells(refusal(options, {3, 4}), {"one probability for every data set", "2 numbers"}));
  EXPECT_TRUE(tells(refusal({}, {3, 0}), {"model.train_ds.manifest_filepath[1]", "has no items"}));
  options = {};
  options.technique = "temprature";
  EXPECT_TRUE(tells(refusal(options, {3}), {"did you mean: temperature"}));
  options = {};
  options.temperature = 0;
  EXPECT_TRUE(tells(refusal(options, {3}), {"concat_sampling_temperature", "must be positive"}));
  options = {};
  options.scale = 0.01;
  EXPECT_TRUE(tells(refusal(options, {3}), {"concat_sampling_scale", "has none"}));
}

TEST(BucketOrder, OptionsThatCannotBeAreTold) {
  const auto refusal = [](const BucketOptions& options) {
    return refusal_by([&] { const BucketOrder order(options, 2, "model.train_ds"); });
  };
  BucketOptions options;
  options.strategy = "random";
  EXPECT_TRUE(tells(refusal(options), {"model.train_ds.bucketing_strategy", "synced_randomized"}));
  options = {};
  options.batch_size = {4, 3, 2};
  EXPECT_TRUE(tells(refusal(options), {"bucketing_batch_size", "2 integers"}));
  options.batch_size = "all";
  EXPECT_TRUE(tells(refusal(options), {"bucketing_batch_size", "must be positive"}));
  options = {};
  options.weights = {1, 0};
  EXPECT_TRUE(tells(refusal(options), {"bucketing_weights", "integers from 1"}));
  options = {};
  options.batch_size = 2;
  const BucketOrder order(options, 2, "model.train_ds");
  EXPECT_TRUE(
      tells(refusal_by([&] { order.batches(0, 0, 8, false, [](size_t, int64_t) { return std::vector<int64_t>{}; }); }),
            {"model.train_ds.batch_size", "contradict"}));
}

}  // namespace
}  // namespace fathom::asr
