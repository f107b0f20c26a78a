#include "core/planning/batch_limits.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

// The batches of `epochs` epochs of N after which validation runs, counted from 1 over all epochs.
std::vector<int64_t> validations(const Json& interval, std::optional<int64_t> every, int64_t n, int64_t epochs) {
  const auto plan = plan_validation(interval, every, n, "trainer");
  std::vector<int64_t> out;
  for (int64_t e = 0; e < epochs; ++e) {
    for (int64_t b = 0; b < n; ++b) {
      if (plan.due(e, b, e * n + b + 1)) out.push_back(e * n + b + 1);
    }
  }
  return out;
}
using List = std::vector<int64_t>;

TEST(PlanValidation, LightningsTable) {
  EXPECT_EQ(validations(0.3, 1, 10, 1), (List{3, 6, 9}));
  EXPECT_EQ(validations(0.34, 1, 10, 1), (List{3, 6, 9}));
  EXPECT_EQ(validations(0.67, 1, 10, 1), (List{6}));
  EXPECT_EQ(validations(0.5, 1, 10, 2), (List{5, 10, 15, 20}));
  EXPECT_EQ(validations(0.25, 1, 10, 1), (List{2, 4, 6, 8, 10}));
  EXPECT_EQ(validations(0.0, 1, 3, 1), (List{1, 2, 3}));
  EXPECT_EQ(validations(3, 1, 10, 1), (List{3, 6, 9}));
  EXPECT_EQ(validations(1, 1, 3, 1), (List{1, 2, 3}));
  EXPECT_EQ(validations(7, std::nullopt, 10, 3), (List{7, 14, 21, 28}));
  EXPECT_EQ(validations(15, std::nullopt, 10, 3), (List{15, 30}));
  EXPECT_EQ(validations(1.0, 2, 10, 4), (List{20, 40}));
}

TEST(PlanValidation, Refusals) {
  EXPECT_THROW(plan_validation(11, 1, 10, "trainer"), Error);
  EXPECT_THROW(plan_validation(0.5, std::nullopt, 10, "trainer"), Error);
  EXPECT_THROW(plan_validation(1.5, 1, 10, "trainer"), Error);
  EXPECT_THROW(plan_validation("often", 1, 10, "trainer"), Error);
}

TEST(LimitedBatches, CountsAndFractions) {
  EXPECT_EQ(limited_batches(1, 10, "k"), 1);
  EXPECT_EQ(limited_batches(1.0, 10, "k"), 10);
  EXPECT_EQ(limited_batches(0.33, 10, "k"), 3);
  EXPECT_EQ(limited_batches(2.0, 10, "k"), 2);
  EXPECT_EQ(limited_batches(0, 10, "k"), 0);
  EXPECT_EQ(limited_batches(50, 10, "k"), 10);
  EXPECT_THROW(limited_batches(0.05, 10, "k"), Error);
  EXPECT_THROW(limited_batches(2.5, 10, "k"), Error);
}

TEST(LimitedBatches, OfAnUnknownNumber) {
  EXPECT_EQ(limited_batches(1.0, kUnknownBatches, "k"), kUnknownBatches);
  EXPECT_EQ(limited_batches(nullptr, kUnknownBatches, "k"), kUnknownBatches);
  EXPECT_EQ(limited_batches(7, kUnknownBatches, "k"), 7);
  EXPECT_THROW(limited_batches(0.5, kUnknownBatches, "k"), Error);
  const ValidationPlan plan = plan_validation(1.0, 2, kUnknownBatches, "trainer");
  EXPECT_FALSE(plan.due(1, 5, 12, /*last_batch=*/false));
  EXPECT_TRUE(plan.due(1, 5, 12, /*last_batch=*/true));
  EXPECT_FALSE(plan.due(2, 5, 12, /*last_batch=*/true));
  EXPECT_EQ(plan_validation(3, 1, kUnknownBatches, "trainer").every_batches, 3);
  EXPECT_THROW(plan_validation(0.5, 1, kUnknownBatches, "trainer"), Error);
}

TEST(MaxTime, DaysHoursMinutesSeconds) {
  EXPECT_EQ(parse_max_time("01:02:03:04", "k"), 93784);
  EXPECT_THROW(parse_max_time("5 minutes", "k"), Error);
}

}  // namespace
}  // namespace fathom
