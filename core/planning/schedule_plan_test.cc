#include "core/planning/schedule_plan.h"

#include <gtest/gtest.h>

#include "tests/support/error_of.h"

namespace fathom::training {
namespace {

// The form of NeMo's documentation: the rate in the section, the rest in args.
TEST(PlanOptimizer, ArgsTakeTheRateFromTheSection) {
  const OptimizerPlan plan =
      plan_optimizer({{"name", "novograd"},
                      {"lr", 0.01},
                      {"args", {{"name", "auto"}, {"params", {{"betas", {0.8, 0.5}}, {"weight_decay", 0.001}}}}}});
  EXPECT_EQ(plan.name, "novograd");
  EXPECT_EQ(plan.options["lr"], 0.01);
  EXPECT_EQ(plan.options["betas"], Json::array({0.8, 0.5}));
  EXPECT_EQ(plan.options["weight_decay"], 0.001);
  EXPECT_EQ(plan.options["eps"], 1e-8);
  const std::string error = error_of([] { plan_optimizer({{"name", "novograd"}, {"args", {{"name", "auto"}}}}); });
  EXPECT_NE(error.find("'lr' is mandatory"), std::string::npos) << error;
  EXPECT_NE(error.find("at: optim"), std::string::npos) << error;
}

TEST(PlanOptimizer, ReadsHydrasOldSpellings) {
  EXPECT_EQ(parse_optimizer_args("sgd", {{"params", {{"momentum", 0.9}}}}), (Json{{"momentum", 0.9}}));
  const Json args = {{"cls", "nemo.core.config.SGDParams"}, {"params", {{"lr", 0.1}, {"nesterov", true}}}};
  const Json parsed = parse_optimizer_args("sgd", args);
  EXPECT_EQ(parsed["lr"], 0.1);
  EXPECT_EQ(parsed["nesterov"], true);
  EXPECT_EQ(parsed["momentum"], 0);
  EXPECT_NE(error_of([&] {
              parse_optimizer_args("sgd", {{"cls", "nemo.core.config.SGDParams"}, {"betas", 1}});
            }).find("'betas' is no parameter of SGDParams"),
            std::string::npos);
}

TEST(PlanLrScheduler, ReadsHydrasOldSpellings) {
  const Json args = {{"cls", "nemo.core.config.CosineAnnealingParams"}, {"params", {{"warmup_steps", 4}}}};
  const SchedulePlan plan = plan_lr_scheduler({{"max_steps", 50}, {"args", args}}, std::nullopt, "optim.sched");
  EXPECT_TRUE(plan.use);
  EXPECT_EQ(plan.section["name"], "CosineAnnealing");
  EXPECT_EQ(plan.section["warmup_steps"], 4);
  EXPECT_EQ(plan.max_steps, 50);
  // A class that is none is told even where no schedule would be made.
  const std::string error = error_of([] {
    plan_lr_scheduler({{"max_steps", -1}, {"args", {{"_target_", "nemo.core.config.NoSuchParams"}}}}, std::nullopt,
                      "optim.sched");
  });
  EXPECT_NE(error.find("NoSuchParams"), std::string::npos) << error;
  EXPECT_NE(error.find("at: optim.sched.args._target_"), std::string::npos) << error;
}

}  // namespace
}  // namespace fathom::training
