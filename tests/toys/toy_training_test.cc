// Toys trained by the program: a GAN with two optimizers and data without a length, killed and resumed to the bit.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

class ToyTraining : public TrainingTest {
 protected:
  void write_config(const std::string& model) {
    std::ofstream(folder_ + "/toy.yaml") << "name: toy\n"
                                         << model << R"(
trainer: {max_epochs: 4, num_sanity_val_steps: 0, log_every_n_steps: 1, enable_model_summary: false}
exp_manager:
  resume_if_exists: true
  resume_ignore_no_checkpoint: true
  create_tensorboard_logger: false
  checkpoint_callback_params: {every_n_train_steps: 4, every_n_epochs: null, monitor: null, save_top_k: 1, save_last: true}
)";
  }
  Result train(const std::string& run_name, const std::vector<std::string>& more = {}) {
    return run(toy(run_name, more));
  }
  std::vector<std::string> toy(const std::string& run_name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> out = {fathom_program(),
                                    "--plugin-dir",
                                    FATHOM_BINARY_DIR "/tests/toys/plugins",
                                    "train",
                                    "-cp",
                                    folder_,
                                    "-cn",
                                    "toy",
                                    "++seed=5",
                                    "++exp_manager.explicit_log_dir=" + folder_ + "/" + run_name,
                                    "--threads",
                                    "1"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  // Kills a run once it has saved, starts it again, and compares with one that was left alone.
  void expect_same_bits_after_a_kill(const std::vector<std::string>& more = {}) {
    const Result whole = train("whole", more);
    ASSERT_EQ(whole.status, 0) << whole.err;
    Process killed(toy("cut", more));
    ASSERT_TRUE(killed.read([&](const Result&) {
      return file_exists(folder_ + "/cut/checkpoints/toy--last.ckpt") || has_checkpoint("cut");
    }));
    killed.kill(SIGKILL);
    killed.wait();
    const Result resumed = train("cut", more);
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("resumed from"));
    const auto a = final_weights("whole", "toy.nemo"), b = final_weights("cut", "toy.nemo");
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [name, bytes] : a) EXPECT_TRUE(b.at(name) == bytes) << name;
    EXPECT_EQ(without_timing(read_file(folder_ + "/whole/metrics.csv")),
              without_timing(read_file(folder_ + "/cut/metrics.csv")));
  }
  // Rows of a csv file with a value in a column.
  static int rows_with(const std::string& csv, const std::string& column) {
    std::istringstream stream(csv);
    std::string line, cell;
    int rows = 0;
    for (int wanted = -1; std::getline(stream, line);) {
      std::istringstream cells(line + ",");
      for (int i = 0; std::getline(cells, cell, ','); ++i) {
        if (wanted < 0 && cell == column)
          wanted = i;
        else if (i == wanted && !cell.empty())
          ++rows;
      }
    }
    return rows;
  }
  bool has_checkpoint(const std::string& run_name) const {
    if (!fs::exists(folder_ + "/" + run_name + "/checkpoints")) return false;
    for (const auto& entry : fs::directory_iterator(folder_ + "/" + run_name + "/checkpoints")) {
      if (entry.path().string().ends_with("last.ckpt")) return true;
    }
    return false;
  }
};

constexpr const char* kGan = R"(model:
  _target_: toy.Gan
  train_ds: {_target_: toy.Circle, points: 64, batch_size: 8, shuffle: true}
  optim: {name: adam, lr: 0.05, sched: {name: CosineAnnealing, warmup_steps: 2, min_lr: 0.001}}
)";

TEST_F(ToyTraining, AGanWithTwoOptimizersResumesToTheBitAfterAKill) {
  write_config(kGan);
  expect_same_bits_after_a_kill();
}

// As NeMo's EMA callback, which wraps every optimizer: each average counts the steps of its own.
TEST_F(ToyTraining, TheAveragesOfAGanAreThoseOfBothOptimizersAndResumeToTheBit) {
  write_config(kGan);
  expect_same_bits_after_a_kill({"++exp_manager.ema={enable: true, decay: 0.8, every_n_steps: 2}"});
  const auto weights = final_weights("whole", "toy.nemo"), averages = final_weights("whole", "toy-EMA.nemo");
  ASSERT_EQ(weights.size(), averages.size());
  for (const auto& [name, bytes] : weights) EXPECT_FALSE(averages.at(name) == bytes) << name << " is not averaged";
  EXPECT_TRUE(averages == final_weights("cut", "toy-EMA.nemo"));
}

TEST_F(ToyTraining, EveryStepOfEachOptimizerCounts) {
  write_config(kGan);
  const Result result = train(
      "run", {"--json-summary", folder_ + "/summary.json", "++trainer.callbacks=[{_target_: LearningRateMonitor}]"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto summary = nlohmann::json::parse(read_file(folder_ + "/summary.json"));
  EXPECT_EQ(summary["global_step"], 2 * 4 * 8);  // two optimizers, four epochs, eight batches
  const std::string header = read_file(folder_ + "/run/metrics.csv");
  EXPECT_THAT(header, HasSubstr("lr-Adam,lr-Adam-1"));
  EXPECT_THAT(header, HasSubstr("loss_d,loss_g"));
}

TEST_F(ToyTraining, WhatTheTrainerCannotDoForAModelThatOptimizesByHandIsRefused) {
  write_config(kGan);
  for (const auto& [word, key] : {std::pair{"++trainer.accumulate_grad_batches=2", "trainer.accumulate_grad_batches"},
                                  {"++trainer.gradient_clip_val=1.0", "trainer.gradient_clip_val"}}) {
    const Result result = train("refused", {word});
    EXPECT_EQ(result.status, 1) << result.err;
    EXPECT_THAT(result.err, HasSubstr("optimizes by hand"));
    EXPECT_THAT(result.err, HasSubstr(key));
  }
}

TEST_F(ToyTraining, DataWithoutALengthTrainsAndResumesToTheBit) {
  write_config(R"(model:
  _target_: toy.Line
  train_ds: {_target_: toy.Endless, items: 42, batch_size: 4, num_workers: 1}
  validation_ds: {_target_: toy.Lengths, items: 12, batch_size: 4, use_bucketing: true, num_buckets: 3}
  optim: {name: sgd, lr: 0.1}
)");
  expect_same_bits_after_a_kill();
  EXPECT_EQ(rows_with(read_file(folder_ + "/whole/metrics.csv"), "val_loss"), 4) << "once an epoch, at its end";
}

TEST_F(ToyTraining, ValidationDataWithoutALengthIsReadToItsEnd) {
  write_config(R"(model:
  _target_: toy.Line
  train_ds: {_target_: toy.Lengths, items: 16, batch_size: 4}
  validation_ds: {_target_: toy.Endless, items: 10, batch_size: 4}
  optim: {name: sgd, lr: 0.1}
)");
  const Result result = train("run");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(rows_with(read_file(folder_ + "/run/metrics.csv"), "val_loss"), 4);
  const Result fraction = train("fraction", {"++trainer.limit_val_batches=0.5"});
  EXPECT_EQ(fraction.status, 1);
  EXPECT_THAT(fraction.err, HasSubstr("whose length is not known"));
}

TEST_F(ToyTraining, KeysThatNobodyReadsAreRefusedWithTheNearestName) {
  write_config(kGan);
  const Result data = train("bad", {"+model.train_ds.point=3"});
  EXPECT_EQ(data.status, 1);
  EXPECT_THAT(data.err, HasSubstr("unknown key 'point'"));
  EXPECT_THAT(data.err, HasSubstr("did you mean: points"));
  write_config(
      "model: {_target_: toy.Line, targt: 0.7, train_ds: {_target_: toy.Endless}, optim: {name: sgd, lr: 0.1}}\n");
  const Result model = train("bad");
  EXPECT_EQ(model.status, 1);
  EXPECT_THAT(model.err, HasSubstr("unknown key 'targt'"));
  EXPECT_THAT(model.err, HasSubstr("did you mean: target"));
}

}  // namespace
}  // namespace fathom::e2e
