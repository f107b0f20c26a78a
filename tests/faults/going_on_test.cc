// What a run does about what goes wrong around it: checkpoints that cannot be read, a second process, a loss that is no
// number, requests to save.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "tests/faults/fault_run.h"

namespace fathom::faults {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class GoingOn : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "fathom_going_on_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write_config(folder_);
  }
  void TearDown() override {
    if (!HasFailure()) fs::remove_all(folder_);
  }
  std::vector<std::string> command(const std::vector<std::string>& more) const {
    auto all = words(folder_, "run", Setting());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  e2e::Result train(const std::vector<std::string>& more = {}, const std::vector<std::string>& environment = {}) const {
    return e2e::run(command(more), environment);
  }
  static std::string fault(const std::string& text) { return "FATHOM_FAULT=" + text; }
  std::vector<std::string> files(const std::string& sub, const std::string& ending) const {
    std::vector<std::string> names;
    if (!fs::exists(folder_ + "/" + sub)) return names;
    for (const auto& entry : fs::directory_iterator(folder_ + "/" + sub)) {
      if (entry.path().string().ends_with(ending)) names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string last() const {
    const auto found = files("run/checkpoints", "-last.ckpt");
    return found.size() == 1 ? folder_ + "/run/checkpoints/" + found[0] : "";
  }
  std::string folder_;
};

TEST_F(GoingOn, ABrokenCheckpointFallsBackToTheOneBefore) {
  const auto whole = e2e::run(words(folder_, "whole", Setting()));
  ASSERT_EQ(whole.status, 0) << whole.err;
  for (const char* how : {"cut short", "changed inside"}) {
    SCOPED_TRACE(how);
    fs::remove_all(folder_ + "/run");
    ASSERT_EQ(train({}, {fault("kill train_epoch_end 2")}).status, 128 + SIGKILL);
    const std::string broken = last();
    ASSERT_NE(broken, "");
    std::string bytes = read_file(broken);
    if (std::string_view(how) == "cut short")
      bytes.resize(bytes.size() / 2);
    else
      bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
    std::ofstream(broken, std::ios::binary) << bytes;
    const auto resumed = train();
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("CANNOT BE READ"));
    EXPECT_THAT(resumed.err, HasSubstr(broken));
    EXPECT_THAT(resumed.err, HasSubstr("resumed from"));
    EXPECT_EQ(difference(outcome_of(folder_ + "/whole"), outcome_of(folder_ + "/run")), "");
  }
}

TEST_F(GoingOn, WithoutAnyThatCanBeReadNothingStarts) {
  ASSERT_EQ(train({}, {fault("kill train_epoch_end 2")}).status, 128 + SIGKILL);
  for (const auto& name : files("run/checkpoints", ".ckpt")) fs::resize_file(folder_ + "/run/checkpoints/" + name, 100);
  const auto resumed = train();
  EXPECT_EQ(resumed.status, 65) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("older checkpoints can be read either"));
  EXPECT_THAT(resumed.err, Not(HasSubstr("starts afresh")));
  // One that was named is the one, or none.
  const auto named = train({"exp_manager.resume_if_exists=false", "+ckpt_path=" + last()});
  EXPECT_EQ(named.status, 65) << named.err;
  EXPECT_THAT(named.err, HasSubstr(last()));
}

TEST_F(GoingOn, ASecondProcessInTheSameFolderIsRefused) {
  e2e::Process first(command({}), {fault("wait train_batch_end 5")});
  ASSERT_TRUE(first.read([&](const e2e::Result&) { return fs::exists(folder_ + "/run/metrics.csv"); }));
  const auto second = train();
  EXPECT_EQ(second.status, 1) << second.err;
  EXPECT_THAT(second.err, HasSubstr("another process is at work in this folder"));
  EXPECT_THAT(second.err, HasSubstr("process "));
  first.kill(SIGKILL);
  first.wait();
  EXPECT_EQ(train().status, 0);
}

TEST_F(GoingOn, ALossThatIsNoNumberEndsTheRunWithItsStepAndItems) {
  const auto stopped = train({}, {fault("nan train_batch_start 6")});
  EXPECT_EQ(stopped.status, 1) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the loss is not finite"));
  EXPECT_THAT(stopped.err, HasSubstr("step 5, epoch 0, batch 5"));
  EXPECT_THAT(stopped.err, HasSubstr("nan for batch 5 of epoch 0 of model.train_ds"));
  EXPECT_THAT(stopped.err, HasSubstr(", items "));
  EXPECT_EQ(train().status, 0) << "it goes on from its last checkpoint";
}

TEST_F(GoingOn, ALossThatIsNoNumberIsLeftOutOrTrainedOn) {
  const auto skipped = train({"+trainer.nan_loss=skip"}, {fault("nan train_batch_start 6")});
  ASSERT_EQ(skipped.status, 0) << skipped.err;
  EXPECT_THAT(skipped.err, HasSubstr("is left out (1 so far)"));
  const Outcome outcome = outcome_of(folder_ + "/run");
  EXPECT_THAT(outcome.rows, HasSubstr("skipped_losses"));
  const auto file = checkpoint::read_pickle_file(last());
  const auto finite = [](const checkpoint::PickleValue& tensor) {
    const std::string_view bytes = tensor.as_tensor().storage->bytes;
    bool all = true;
    for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
      float value = 0;
      std::memcpy(&value, bytes.data() + i, 4);
      all = all && std::isfinite(value);
    }
    return all;
  };
  for (const char* name : {"first.weight", "norm.running_mean", "last.bias"})
    EXPECT_TRUE(finite(file.value.at("state_dict").at(name))) << name;

  fs::remove_all(folder_ + "/run");
  const auto trained_on = train({"+trainer.nan_loss=continue"}, {fault("nan train_batch_start 6")});
  ASSERT_EQ(trained_on.status, 0) << trained_on.err;
  EXPECT_FALSE(finite(checkpoint::read_pickle_file(last()).value.at("state_dict").at("first.weight")));

  const auto unknown = train({"+trainer.nan_loss=skipp"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean: skip"));
}

TEST_F(GoingOn, SafetyCheckpointsComeAndGo) {
  const std::vector<std::string> often = {"+trainer.ckpt_every=0.001",
                                          "++exp_manager.create_checkpoint_callback=false"};
  // They are written beside the training, so that a kill at a step alone may come before the first.
  e2e::Process killed(command(often), {fault("wait train_batch_end 30")});
  EXPECT_TRUE(killed.read([&](const e2e::Result&) { return !files("run/checkpoints/safety", ".ckpt").empty(); }));
  killed.kill(SIGKILL);
  ASSERT_EQ(killed.wait().status, 128 + SIGKILL);
  const auto kept = files("run/checkpoints/safety", ".ckpt");
  ASSERT_FALSE(kept.empty());
  EXPECT_LE(kept.size(), 2u) << "older ones are removed once a new one is whole";
  const auto resumed = train(often);
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("/safety/step="));
  EXPECT_FALSE(fs::exists(folder_ + "/run/checkpoints/safety")) << "the run has ended as it should";

  for (const char* bad : {"soon", "-1", "0", "5y", "[1]"}) {
    const auto refused = train({std::string("+trainer.ckpt_every=") + bad});
    EXPECT_EQ(refused.status, 1) << bad;
    EXPECT_THAT(refused.err, HasSubstr("trainer.ckpt_every")) << bad;
  }
}

// Nobody else saves in this run.
TEST_F(GoingOn, AnInterruptWritesASafetyCheckpointWhereThereIsNoOther) {
  const std::vector<std::string> alone = {"+trainer.ckpt_every=1h", "++exp_manager.create_checkpoint_callback=false"};
  const auto stopped = train(alone, {fault("term train_batch_end 7")});
  EXPECT_EQ(stopped.status, 75) << stopped.err;
  EXPECT_THAT(files("run/checkpoints/safety", ".ckpt"), ElementsAre("step=7.ckpt"));
  EXPECT_EQ(train(alone).status, 0);
}

TEST_F(GoingOn, Usr1SavesAndGoesOn) {
  const auto done = train({}, {fault("usr1 train_batch_end 7")});
  ASSERT_EQ(done.status, 0) << done.err;
  EXPECT_THAT(done.err, HasSubstr("asked to save at step 7"));
  const auto whole = e2e::run(words(folder_, "whole", Setting()));
  ASSERT_EQ(whole.status, 0);
  EXPECT_EQ(difference(outcome_of(folder_ + "/whole"), outcome_of(folder_ + "/run")), "");
}

TEST_F(GoingOn, Usr1InASlurmJobSavesAndAsksForItsNextTurn) {
  std::ofstream(folder_ + "/scontrol") << "#!/bin/sh\necho \"$@\" >> " << folder_ << "/asked\n";
  fs::permissions(folder_ + "/scontrol", fs::perms::owner_all);
  std::vector<std::string> environment = {fault("usr1 train_batch_end 7"),
                                          "PATH=" + folder_ + ":" + std::getenv("PATH"), "SLURM_NTASKS=1",
                                          "SLURM_JOB_NAME=train", "SLURM_JOB_ID=4711"};
  const auto stopped = train({}, environment);
  EXPECT_EQ(stopped.status, 75) << stopped.err;
  EXPECT_EQ(read_file(folder_ + "/asked"), "requeue 4711\n");
  environment.push_back("SLURM_JOB_NAME=bash");
  EXPECT_EQ(train({}, environment).status, 0) << "an interactive shell is no batch job";
}

}  // namespace
}  // namespace fathom::faults
