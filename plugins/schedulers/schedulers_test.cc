// Schedules through the same table a trainer uses: the registered component, its handle, its state.
#include <gtest/gtest.h>

#include <cmath>

#include "core/plugins/registry.h"
#include "fathom/abi/plugin.h"
#include "fathom/scheduler.h"
#include "tests/support/error_of.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom {
namespace {

class SchedulersTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { plugins::registry().add_builtin(&fathom_plugin_entry_v1); }

  static SchedulerHandle make(Json config, std::vector<double> base = {0.1}, Json optimizer = {{"momentum", 0.9}}) {
    return make_scheduler(config, "model.optim.sched", std::nullopt, base, optimizer);
  }
  // Rates of steps 0 to `last` of the first group.
  static std::vector<double> curve(SchedulerHandle scheduler, int64_t last, double base = 0.1) {
    ScheduleStep at;
    at.base_lrs = at.lrs = {base};
    std::vector<double> out;
    for (at.step = 0; at.step <= last; ++at.step) {
      at.lrs = scheduler.rates(at);
      out.push_back(at.lrs[0]);
    }
    return out;
  }
  static void expect_curve(const std::vector<double>& got, const std::vector<double>& expected) {
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], expected[i], 5e-6 * std::abs(expected[i])) << "step " << i;
  }
};

// torch 2.15's SWALR(optimizer of rate 0.1, 0.02, …).
TEST_F(SchedulersTest, AnnealsToAConstantRate) {
  const auto run = [&](const Json& more, int64_t last) {
    Json config = {{"name", "torch.optim.swa_utils.SWALR"}, {"swa_lr", 0.02}};
    for (const auto& [key, value] : more.items()) config[key] = value;
    return curve(make(config), last);
  };
  expect_curve(run({{"anneal_epochs", 4}}, 6), {0.1, 0.0882842712, 0.06, 0.0317157288, 0.02, 0.02, 0.02});
  expect_curve(run({{"anneal_epochs", 4}, {"anneal_strategy", "linear"}}, 5), {0.1, 0.08, 0.06, 0.04, 0.02, 0.02});
  expect_curve(run({{"anneal_epochs", 0}}, 2), {.02, .02, .02});
  EXPECT_EQ(make({{"name", "torch.optim.swa_utils.SWALR"}, {"swa_lr", {0.02}}}).interval(), "epoch");
  EXPECT_NE(
      error_of([&] { make({{"name", "torch.optim.swa_utils.SWALR"}, {"swa_lr", 0.1}, {"anneal_strategy", "fast"}}); }),
      "");
  EXPECT_NE(error_of([&] { make({{"name", "torch.optim.swa_utils.SWALR"}, {"swa_lr", 0.1}, {"anneal_epochs", -1}}); }),
            "");
  EXPECT_NE(error_of([&] { make({{"name", "torch.optim.swa_utils.SWALR"}, {"swa_lr", "low"}}); }), "");
  EXPECT_NE(error_of([&] { curve(make({{"name", "torch.optim.swa_utils.SWALR"}, {"swa_lr", {0.1, 0.2}}}), 1); }), "");
}

// The published numbers of NeMo: base 0.1, 10 steps, min_lr 0.001.
TEST_F(SchedulersTest, FollowsNemosCurves) {
  const auto run = [&](Json config) {
    config["max_steps"] = 10;
    config["min_lr"] = 0.001;
    return curve(make(config), 11);
  };
  expect_curve(run({{"name", "CosineAnnealing"}, {"warmup_steps", 3}}),
               {.025, .05, .075, .1, .095098, .0813627, .0615148, .0394852, .0196373, .00590204, .001, .001});
  expect_curve(run({{"name", "CosineAnnealing"}, {"warmup_steps", 3}, {"constant_steps", 2}}),
               {0, .0333333333, .0666666667, .1, .0905463, .0657963, .0352037, .0104537, .001, .001, .001, .001});
  expect_curve(run({{"name", "NoamAnnealing"}, {"warmup_steps", 5}, {"d_model", 16}}),
               {.00223607, .00223607, .00447214, .0067082, .00894427, .0111803, .0102062, .00944911, .00883883,
                .00833333, .00790569, .00753778});
  expect_curve(run({{"name", "PolynomialHoldDecayAnnealing"}, {"warmup_steps", 3}, {"hold_steps", 2}, {"power", 2}}),
               {.025, .05, .075, .1, .1, .1, .06436, .03664, .01684, .00496, .001, .001});
  expect_curve(run({{"name", "WarmupAnnealing"}, {"warmup_steps", 3}}),
               {.025, .05, .075, .1, .0858571, .0717143, .0575714, .0434286, .0292857, .0151429, .001, .001});
}

TEST_F(SchedulersTest, TakesMaxStepsFromTheRunUnlessGiven) {
  const Json config = {{"name", "PolynomialDecayAnnealing"}};
  ScheduleStep at;
  at.base_lrs = at.lrs = {1.0};
  at.step = 10;
  auto from_run = make_scheduler(config, "sched", 20.0, {1.0}, Json::object());
  EXPECT_DOUBLE_EQ(from_run.rates(at)[0], 0.5);
  Json explicit_config = config;
  explicit_config["max_steps"] = 40;
  auto given = make_scheduler(explicit_config, "sched", 20.0, {1.0}, Json::object());
  EXPECT_DOUBLE_EQ(given.rates(at)[0], 0.75);
  EXPECT_NE(error_of([&] { make(config); }).find("max_steps"), std::string::npos);
}

TEST_F(SchedulersTest, ContinuesFromItsState) {
  const Json config = {{"name", "CosineAnnealing"}, {"max_steps", 30}, {"warmup_steps", 4}};
  const std::vector<double> whole = curve(make(config), 30);
  auto first = make(config);
  curve(first, 12);
  const Json state = first.save_state();
  EXPECT_EQ(state.at("last_epoch"), 12);
  EXPECT_EQ(state.at("_step_count"), 13);
  EXPECT_EQ(state.at("max_steps"), 30);
  // What was saved wins over the new options, as in PyTorch.
  auto second = make({{"name", "CosineAnnealing"}, {"max_steps", 1000}});
  second.load_state(state);
  ScheduleStep at;
  at.base_lrs = at.lrs = {0.1};
  for (at.step = 13; at.step <= 30; ++at.step) EXPECT_DOUBLE_EQ(second.rates(at)[0], whole[at.step]) << at.step;
}

TEST_F(SchedulersTest, PlateauWaitsThenLowers) {
  auto scheduler = make({{"name", "ReduceLROnPlateau"}, {"patience", 1}, {"factor", 0.5}, {"cooldown", 1}});
  EXPECT_TRUE(scheduler.needs_monitor());
  EXPECT_EQ(scheduler.interval(), "epoch");
  ScheduleStep at;
  at.base_lrs = at.lrs = {0.1};
  at.lrs = scheduler.rates(at);
  const std::vector<std::pair<double, double>> watched = {{1, 0.1},  {2, 0.1},  {2, 0.05},
                                                          {2, 0.05}, {2, 0.05}, {2, 0.025}};
  for (const auto& [metric, expected] : watched) {
    ++at.step;
    at.monitor = metric;
    at.lrs = scheduler.rates(at);
    EXPECT_DOUBLE_EQ(at.lrs[0], expected) << "epoch " << at.step;
  }
  at.monitor.reset();
  ++at.step;
  EXPECT_NE(error_of([&] { scheduler.rates(at); }).find("metric"), std::string::npos);
  auto resumed = make({{"name", "ReduceLROnPlateau"}});
  resumed.load_state(scheduler.save_state());
  EXPECT_EQ(resumed.save_state(), scheduler.save_state());
}

TEST_F(SchedulersTest, CyclesTheMomentumAgainstTheRate) {
  auto scheduler = make({{"name", "CyclicLR"}, {"base_lr", 0.1}, {"max_lr", 0.5}, {"step_size_up", 4}});
  ScheduleStep at;
  at.base_lrs = at.lrs = {0.3};
  at.step = 2;
  EXPECT_DOUBLE_EQ(scheduler.rates(at)[0], 0.3);
  const auto second = scheduler.second_option(at);
  EXPECT_EQ(second.name, "momentum");
  EXPECT_NEAR(second.values[0], 0.85, 1e-15);
  auto adam =
      make({{"name", "CyclicLR"}, {"base_lr", 0.1}, {"max_lr", 0.5}}, {0.1}, {{"betas", Json::array({0.9, 0.99})}});
  EXPECT_EQ(adam.second_option(at).name, "betas[0]");
  EXPECT_NE(error_of([&] {
              make({{"name", "CyclicLR"}, {"base_lr", 0.1}, {"max_lr", 0.5}}, {0.1}, Json::object());
            }).find("cycle_momentum"),
            std::string::npos);
}

TEST_F(SchedulersTest, RefusesWhatMakesNoSense) {
  EXPECT_NE(error_of([&] { make({{"name", "CosineAnnealing"}, {"max_steps", 10}, {"bogus", 1}}); }).find("bogus"),
            std::string::npos);
  EXPECT_NE(error_of([&] { make({{"name", "cosineannealing"}, {"max_steps", 10}}); }).find("CosineAnnealing"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              make({{"name", "WarmupPolicy"}, {"max_steps", 10}, {"warmup_steps", 1}, {"warmup_ratio", 0.5}});
            }).find("warmup_ratio"),
            std::string::npos);
  EXPECT_NE(error_of([&] { make({{"name", "StepLR"}, {"step_size", 2}, {"last_epoch", 3}}); }).find("last_epoch"),
            std::string::npos);
  EXPECT_NE(error_of([&] { curve(make({{"name", "CosineAnnealing"}, {"max_steps", 0}}), 0); }).find("divides by zero"),
            std::string::npos);
  auto one = make({{"name", "WarmupPolicy"}, {"max_steps", 10}}, {0.1, 0.2});
  ScheduleStep two_groups;
  two_groups.base_lrs = two_groups.lrs = {0.1, 0.2};
  one.rates(two_groups);
  const Json state = one.save_state();
  auto other = make({{"name", "WarmupPolicy"}, {"max_steps", 10}});
  other.load_state(state);
  ScheduleStep one_group;
  one_group.base_lrs = one_group.lrs = {0.1};
  EXPECT_NE(error_of([&] { other.rates(one_group); }).find("groups"), std::string::npos);
}

}  // namespace
}  // namespace fathom
