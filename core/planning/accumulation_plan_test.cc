#include "core/planning/accumulation_plan.h"

#include <gtest/gtest.h>

#include "fathom/error.h"

namespace fathom {
namespace {

TEST(AccumulationPlan, EachEpochHasItsCount) {
  const AccumulationPlan plan(std::map<int64_t, int64_t>{{2, 4}, {5, 1}});
  std::vector<int64_t> counts;
  for (int64_t epoch = 0; epoch < 7; ++epoch) counts.push_back(plan.at(epoch));
  EXPECT_EQ(counts, (std::vector<int64_t>{1, 1, 4, 4, 4, 1, 1}));
  EXPECT_TRUE(plan.varies());
  EXPECT_TRUE(plan.accumulates());
  EXPECT_EQ(plan.text(), "{0: 1, 2: 4, 5: 1}");
  EXPECT_FALSE(AccumulationPlan(3).varies());
  EXPECT_EQ(AccumulationPlan(3).at(100), 3);
  EXPECT_FALSE(AccumulationPlan().accumulates());
}

TEST(AccumulationPlan, StepsOfARun) {
  const AccumulationPlan plan(std::map<int64_t, int64_t>{{2, 4}, {5, 2}});
  const auto steps = [](int64_t epochs, int64_t batches) { return epochs * ((10 + batches - 1) / batches); };
  EXPECT_EQ(plan.steps_of(1, steps), 10);
  EXPECT_EQ(plan.steps_of(4, steps), 2 * 10 + 2 * 3);
  EXPECT_EQ(plan.steps_of(7, steps), 2 * 10 + 3 * 3 + 2 * 5);
  EXPECT_EQ(plan.steps_of(0, steps), 0);
}

TEST(AccumulationPlan, Refusals) {
  const std::string where = "trainer.accumulate_grad_batches";
  EXPECT_EQ(read_accumulation({{"4", 2}, {"10", 3}}, where), (std::map<int64_t, int64_t>{{4, 2}, {10, 3}}));
  const auto refused = [&](const Json& given) {
    try {
      read_accumulation(given, where);
    } catch (const Error& error) {
      return error;
    }
    return Error(Code::kFailed, "was not refused");
  };
  EXPECT_EQ(refused(Json::object()).where(), where);
  EXPECT_EQ(refused({{"-1", 2}}).seen(), "-1");
  EXPECT_EQ(refused({{"1.5", 2}}).seen(), "1.5");
  EXPECT_EQ(refused({{"1", 0}}).where(), where + ".1");
  EXPECT_EQ(refused({{"1", 2.0}}).seen(), "2.0");
  EXPECT_THROW(AccumulationPlan(std::map<int64_t, int64_t>{{-1, 2}}), Error);
  EXPECT_THROW(AccumulationPlan(std::map<int64_t, int64_t>{{1, 0}}), Error);
}

}  // namespace
}  // namespace fathom
