#include "core/hydra/sweep.h"

#include <gtest/gtest.h>

#include "core/config/errors.h"
#include "core/hydra/override_parser.h"

namespace fathom::config {
namespace {

std::vector<Job> jobs(const std::vector<std::string>& words) { return sweep_jobs(parse_overrides(words), nullptr); }

TEST(Sweep, FirstVariesSlowest) {
  const std::vector<Job> expected = {{"a=1", "b=x"}, {"a=1", "b=y"}, {"a=2", "b=x"}, {"a=2", "b=y"}};
  EXPECT_EQ(jobs({"a=1,2", "b=choice(x,y)"}), expected);
}

TEST(Sweep, LaterWordOfAKeyCountsInItsPlace) {
  const std::vector<Job> expected = {{"a=5", "+a=1"}};
  EXPECT_EQ(jobs({"a=1,2", "+a=1", "a=5"}), expected);
}

TEST(Sweep, RangesStepInDecimals) {
  const std::vector<Job> expected = {{"a=0.1"}, {"a=0.2"}, {"a=0.30000000000000004"}, {"a=0.4"}};
  EXPECT_EQ(jobs({"a=range(0.1,0.4,0.1)"}), expected);
  EXPECT_EQ(jobs({"a=range(5,0,-2)"}).size(), 3u);
  EXPECT_EQ(jobs({"a=range(-1.5,1.5)"}), (std::vector<Job>{{"a=-1.5"}, {"a=-0.5"}, {"a=0.5"}}));
  EXPECT_TRUE(jobs({"a=range(5,0)"}).empty());
  EXPECT_THROW(jobs({"a=range(1,5,0)"}), ConfigError);
  EXPECT_THROW(jobs({"a=range(1,inf)"}), ConfigError);
}

TEST(Sweep, IntervalsHaveNoValues) { EXPECT_THROW(jobs({"a=interval(0,1)"}), ConfigError); }

TEST(Sweep, WordsSurviveBeingWrittenAgain) {
  for (const Job& job : jobs({"a='x, y',\\${b},[1,c d]", "~k"})) {
    for (const std::string& word : job) EXPECT_NO_THROW(parse_override(word)) << word;
  }
}

TEST(Sweep, Batches) {
  const std::vector<Job> all = jobs({"a=range(7)"});
  const auto batches = split_batches(all, 3);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[2].size(), 1u);
  EXPECT_EQ(split_batches(all, std::nullopt).size(), 1u);
  EXPECT_THROW(split_batches(all, 0), ConfigError);
}

}  // namespace
}  // namespace fathom::config
