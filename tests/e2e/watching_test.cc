// Callbacks that watch a run or end it: whole runs in this process, with the real trainer.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/folder_test.h"
#include "tests/support/scripted_run.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// 4 batches an epoch, one validation after each.
class Watching : public FolderTest {
 protected:
  void SetUp() override { fs::current_path(folder_); }
  void TearDown() override { fs::current_path("/"); }
  void run(Json callback, const std::string& name, Json trainer, std::vector<double> val_loss = {}) {
    callback["_target_"] = name;
    trainer["callbacks"] = Json::array({std::move(callback)});
    trainer["enable_checkpointing"] = false;
    script_.val_loss = std::move(val_loss);
    script_.validations = 0;
    summary_ = RunSummary();
    run_scripted(scripted_request(std::move(trainer), 4), script_, summary_);
  }
  // Epochs that are trained before EarlyStopping ends the run.
  int64_t epochs(const Json& options, std::vector<double> val_loss) {
    run(options, "EarlyStopping", {{"max_epochs", 20}}, std::move(val_loss));
    return summary_.epochs;
  }
  Script script_;
  RunSummary summary_;
};

TEST_F(Watching, PatienceCountsChecksWithoutImprovement) {
  const Json none = {{"monitor", "val_loss"}};
  EXPECT_EQ(epochs(none, {3, 2, 2, 2, 2}), 5);
  EXPECT_EQ(epochs({{"monitor", "val_loss"}, {"patience", 1}}, {3, 2, 2, 1}), 3);
  EXPECT_EQ(epochs({{"monitor", "val_loss"}, {"patience", 0}}, {3, 4}), 2);
  EXPECT_EQ(epochs({{"monitor", "val_loss"}, {"patience", 2}, {"mode", "max"}}, {1, 2, 1, 1, 9}), 4);
  EXPECT_EQ(epochs({{"monitor", "val_loss"}, {"patience", 2}, {"min_delta", 0.5}}, {3, 2.6, 2.4, 2.3, 2.2}), 5);
  EXPECT_EQ(
      epochs(none, {5, 4, 3, 2, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04}),
      20);
}

TEST_F(Watching, ThresholdsAndFiniteness) {
  EXPECT_EQ(epochs({{"monitor", "val_loss"}}, {3, std::nan("")}), 2);
  EXPECT_THAT(summary_.reason, HasSubstr("not finite"));
  EXPECT_EQ(epochs({{"monitor", "val_loss"}, {"stopping_threshold", 1.0}}, {3, 1, 0.5}), 3);
  EXPECT_EQ(epochs({{"monitor", "val_loss"}, {"divergence_threshold", 10.0}}, {3, 11}), 2);
  EXPECT_EQ(epochs({{"monitor", "val_loss"}, {"check_finite", false}, {"patience", 2}}, {3, std::nan(""), INFINITY}),
            3);
}

TEST_F(Watching, AMetricThatIsNotThere) {
  EXPECT_THROW(epochs({{"monitor", "nope"}}, {1}), Error);
  EXPECT_EQ(epochs({{"monitor", "nope"}, {"strict", false}}, {1}), 20);
}

TEST_F(Watching, TimingLogsEveryStep) {
  int training = 0;
  script_.look = [&](const std::string& hook, Trainer& trainer) {
    const auto looked_at = [&](const char* name, int& count) {
      const auto seconds = trainer.metric(name);
      ASSERT_TRUE(seconds.has_value()) << name << " at " << hook;
      EXPECT_GE(*seconds, 0);
      EXPECT_LT(*seconds, 5);
      ++count;
    };
    if (hook == "on_train_batch_end") looked_at("train_step_timing in s", training);
  };
  run({{"buffer_size", 2}}, "TimingCallback", {{"max_epochs", 2}}, {1});
  EXPECT_EQ(training, 8);
  EXPECT_THROW(run({{"reduction", "mode"}}, "TimingCallback", {{"max_epochs", 1}}), Error);
}

TEST_F(Watching, ATimerEndsTheRunAfterItsTime) {
  run({{"duration", "00:00:00:00"}}, "Timer", {{"max_epochs", 20}});
  EXPECT_EQ(summary_.status, "stopped");
  EXPECT_LT(summary_.global_step, 80);
  EXPECT_THROW(run({{"duration", "soon"}}, "Timer", {{"max_epochs", 1}}), Error);
}

}  // namespace
}  // namespace fathom
