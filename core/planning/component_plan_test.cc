#include "core/planning/component_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fathom {
namespace {

using testing::ElementsAre;

// "name@path" of those that are made; nothing is loaded, so that the names are those of the sections.
std::vector<std::string> made(const std::vector<PlannedComponent>& planned) {
  std::vector<std::string> out;
  for (const auto& one : planned) {
    if (one.used) out.push_back(one.section.value("name", one.section.value("_target_", "?")) + "@" + one.path);
  }
  return out;
}
ComponentPlan plan_of(const Json& trainer, const Json& manager = nullptr, bool has_validation = true) {
  const TrainerOptions options = check_trainer_options(trainer, "trainer");
  if (manager.is_null()) return plan_components(options, nullptr, has_validation);
  const ExpManagerOptions given = read_exp_manager_options(manager, "exp_manager");
  return plan_components(options, &given, has_validation);
}
Json section_at(const std::vector<PlannedComponent>& planned, const std::string& path) {
  for (const auto& one : planned) {
    if (one.path == path) return one.section;
  }
  return nullptr;
}

TEST(ComponentPlan, WithoutExpManagerIsLightnings) {
  const ComponentPlan plan = plan_of(Json::object());
  EXPECT_THAT(made(plan.loggers), ElementsAre("csv@trainer.logger", "tensorboard@trainer.logger"));
  EXPECT_THAT(made(plan.callbacks),
              ElementsAre("ProgressBar@trainer.enable_progress_bar", "ModelSummary@trainer.enable_model_summary",
                          "ModelCheckpoint@trainer.enable_checkpointing"));
  EXPECT_THAT(made(plan_of({{"logger", false}}).loggers), ElementsAre());
  EXPECT_THAT(made(plan_of({{"enable_progress_bar", false}, {"enable_checkpointing", false}}).callbacks),
              ElementsAre("ModelSummary@trainer.enable_model_summary"));
}

TEST(ComponentPlan, ExpManagerMakesItsOwn) {
  const Json manager = {{"ema", {{"enable", true}, {"decay", 0.9}}},
                        {"create_early_stopping_callback", true},
                        {"early_stopping_callback_params", {{"patience", 3}}}};
  const ComponentPlan plan = plan_of({{"logger", false}}, manager);
  EXPECT_THAT(made(plan.loggers), ElementsAre("csv@exp_manager", "tensorboard@exp_manager.summary_writer_kwargs"));
  EXPECT_THAT(made(plan.callbacks),
              ElementsAre("ProgressBar@trainer.enable_progress_bar", "ModelSummary@trainer.enable_model_summary",
                          "TimingCallback@exp_manager.step_timing_kwargs",
                          "EarlyStopping@exp_manager.early_stopping_callback_params", "EMA@exp_manager.ema",
                          "NeMoModelCheckpoint@exp_manager.checkpoint_callback_params"));
  EXPECT_EQ(section_at(plan.callbacks, "exp_manager.ema"), (Json{{"name", "EMA"}, {"decay", 0.9}}));
  const Json stopping = section_at(plan.callbacks, "exp_manager.early_stopping_callback_params");
  EXPECT_EQ(stopping, (Json{{"name", "EarlyStopping"}, {"min_delta", 0.001}, {"patience", 3}}));
  const std::string checkpoint = "exp_manager.checkpoint_callback_params";
  EXPECT_FALSE(section_at(plan.callbacks, checkpoint).contains("monitor"));
  EXPECT_TRUE(section_at(plan_of({}, manager, false).callbacks, checkpoint).at("monitor").is_null());
}

TEST(ComponentPlan, TrackersAreMadeWhereTheyAreAskedFor) {
  const Json wandb = {{"name", "n"}, {"project", "p"}};
  Json manager = {{"wandb_logger_kwargs", wandb}, {"create_mlflow_logger", true}, {"create_csv_logger", false}};
  ComponentPlan plan = plan_of({{"logger", false}}, manager);
  EXPECT_THAT(made(plan.loggers),
              ElementsAre("tensorboard@exp_manager.summary_writer_kwargs", "mlflow@exp_manager.mlflow_logger_kwargs"));
  // What is off is still there to be checked, and `name` is the run's.
  EXPECT_EQ(section_at(plan.loggers, "exp_manager.wandb_logger_kwargs"),
            (Json{{"_target_", "wandb"}, {"name", "n"}, {"project", "p"}}));
  EXPECT_EQ(section_at(plan.loggers, "exp_manager.mlflow_logger_kwargs"),
            (Json{{"_target_", "mlflow"}, {"experiment_name", nullptr}}));
  manager["create_wandb_logger"] = true;
  plan = plan_of({{"logger", {{{"name", "jsonl"}}, {{"name", "console"}}}}}, manager);
  EXPECT_THAT(made(plan.loggers),
              ElementsAre("jsonl@trainer.logger[0]", "console@trainer.logger[1]", "n@exp_manager.wandb_logger_kwargs",
                          "mlflow@exp_manager.mlflow_logger_kwargs"));
  EXPECT_THAT(made(plan_of({{"fast_dev_run", true}}, manager).loggers), ElementsAre());
}

TEST(ComponentPlan, WhatTheConfigNamesComesFirstAndOnce) {
  const Json trainer = {{"callbacks",
                         {{{"_target_", "lightning.pytorch.callbacks.RichProgressBar"}},
                          {{"_target_", "my.ModelCheckpoint"}, {"monitor", "wer"}}}},
                        {"logger", {{"name", "csv"}}}};
  const ComponentPlan plan = plan_of(trainer);
  EXPECT_THAT(made(plan.callbacks),
              ElementsAre("lightning.pytorch.callbacks.RichProgressBar@trainer.callbacks[0]",
                          "my.ModelCheckpoint@trainer.callbacks[1]", "ModelSummary@trainer.enable_model_summary"));
  EXPECT_THAT(made(plan.loggers), ElementsAre("csv@trainer.logger"));
  EXPECT_THAT(made(plan_of(trainer, Json::object()).loggers), ElementsAre("csv@trainer.logger"));
}

TEST(ComponentPlan, OldFlagsOfTheTrainerAreCallbacks) {
  const Json trainer = {{"accumulate_grad_batches", {{"4", 2}}}, {"track_grad_norm", "inf"},
                        {"stochastic_weight_avg", true},         {"enable_progress_bar", false},
                        {"enable_model_summary", false},         {"enable_checkpointing", false}};
  const ComponentPlan plan = plan_of(trainer);
  EXPECT_THAT(made(plan.callbacks), ElementsAre("GradientAccumulationScheduler@trainer.accumulate_grad_batches",
                                                "GradientNormMonitor@trainer.track_grad_norm",
                                                "StochasticWeightAveraging@trainer.stochastic_weight_avg"));
  EXPECT_EQ(section_at(plan.callbacks, "trainer.accumulate_grad_batches").at("scheduling"), (Json{{"4", 2}}));
  EXPECT_EQ(section_at(plan.callbacks, "trainer.track_grad_norm").at("norm_type"), "inf");
  EXPECT_THROW(check_trainer_options({{"track_grad_norm", "two"}}, "trainer"), Error);
  EXPECT_THROW(check_trainer_options({{"accumulate_grad_batches", {{"a", 2}}}}, "trainer"), Error);
}

TEST(ComponentPlan, AFastRunSavesNothingAndABareOneCallsNobody) {
  const Json manager = {{"checkpoint_callback_params", {{"save_top_k", 3}}}};
  const ComponentPlan fast = plan_of({{"fast_dev_run", true}}, manager);
  EXPECT_THAT(made(fast.loggers), ElementsAre());
  EXPECT_THAT(made(fast.callbacks),
              ElementsAre("ProgressBar@trainer.enable_progress_bar", "ModelSummary@trainer.enable_model_summary"));
  // What is not made is still there to be checked.
  EXPECT_EQ(section_at(fast.callbacks, "exp_manager.checkpoint_callback_params").at("save_top_k"), 3);
  const ComponentPlan bare = plan_of({{"barebones", true}, {"callbacks", {{{"name", "ModelSummary"}}}}}, manager);
  EXPECT_THAT(made(bare.callbacks), ElementsAre());
  EXPECT_THAT(made(bare.loggers), ElementsAre());
}

}  // namespace
}  // namespace fathom
