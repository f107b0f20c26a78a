#include "core/runs/run_listing.h"

#include <gmock/gmock.h>

#include <chrono>

#include "core/base/file.h"
#include "core/runs/run_folder.h"
#include "core/runs/run_record.h"
#include "core/runs/run_table.h"
#include "tests/support/error_of.h"
#include "tests/support/folder_test.h"

namespace fathom::runs {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RunListing : public FolderTest {
 protected:
  void write(const std::string& file, const std::string& text = "") const {
    fs::create_directories((folder_ / file).parent_path());
    write_file_atomically(folder_ / file, text);
  }
  std::vector<RunInfo> find(const ListOptions& options = {}) {
    problems_.clear();
    auto found = find_runs(folder_, options, [&](const Error& problem) { problems_.push_back(problem.what()); });
    sort_runs(found, RunOrder::kName, false);
    return found;
  }
  RunInfo only() {
    auto found = find();
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? RunInfo() : found[0];
  }
  std::vector<std::string> problems_;
};

TEST_F(RunListing, ARecordIsTakenAsItIs) {
  fs::create_directories(folder_ / "exp/run");
  RunSummary summary;
  keep_record({folder_ / "exp/run", "digits", "7", "", {{"val_loss", "min"}, {"val_acc", "max"}}, {}}, summary, [&] {
    summary.status = "stopped";
    summary.reason = "val_acc did not improve";
    summary.epochs = 4;
    summary.global_step = 40;
    summary.best_path = "/before/checkpoints/digits--val_acc=0.7500-epoch=3.ckpt";  // the folder has moved since
    summary.best_metric = "val_acc";
    summary.best_score = 0.75;
  });
  write("exp/run/metrics.csv", "epoch,step\n8,99\n");  // of no account
  write("exp/run/checkpoints/digits--val_acc=0.7500-epoch=3.ckpt");
  write("exp/run/checkpoints/digits--val_acc=0.5000-epoch=2.ckpt");
  const RunInfo run = only();
  EXPECT_EQ(run.name + "/" + run.version, "digits/7");
  EXPECT_EQ(run.state, "stopped");
  EXPECT_EQ(run.reason, "val_acc did not improve");
  EXPECT_EQ(run.epochs, 4);
  EXPECT_EQ(run.global_step, 40);
  EXPECT_EQ(run.monitor + " " + run.mode, "val_acc max");
  EXPECT_EQ(run.best, 0.75);
  EXPECT_EQ(run.best_checkpoint, folder_ / "exp/run/checkpoints/digits--val_acc=0.7500-epoch=3.ckpt");
  EXPECT_TRUE(run.recorded);
  const Json json = to_json(run);
  EXPECT_EQ(json["best"]["metric"], "val_acc");
  EXPECT_EQ(json["state"], "stopped");
}

TEST_F(RunListing, ARunThatWasKilledCountsByItsFiles) {
  write(
      "a/run.json", R"({"format": 1, "status": "running", "name": "a", "version": "", "host": ")" + [] {
        char host[256] = {};
        ::gethostname(host, sizeof host - 1);
        return std::string(host);
      }() + R"(", "boot": "before", "pid": 1, "monitors": [{"metric": "val_wer", "mode": "min"}]})");
  write("a/metrics.csv", "epoch,step,val_wer\n0,3,0.5\n1,7,0.25\n2,11,0.3\n");
  write("a/checkpoints/a--val_wer=0.2500-epoch=1.ckpt");
  write("a/checkpoints/a--val_wer=0.3000-epoch=2-last.ckpt");
  const RunInfo run = only();
  EXPECT_EQ(run.state, "killed");
  EXPECT_EQ(run.epochs, 3);
  EXPECT_EQ(run.global_step, 12);
  EXPECT_EQ(run.best, 0.25);
  EXPECT_THAT(run.best_checkpoint, HasSubstr("0.2500-epoch=1.ckpt"));
}

TEST_F(RunListing, NeMosAndLightningsRunsTellWhatTheirFilesTell) {
  // NeMo: no csv, a finished run by its -end checkpoint; the mode is not known, and of two kept ones neither is best.
  write("nemo_experiments/QuartzNet/2026-01-02_03-04-05/cmd-args.log");
  const std::string checkpoints = "nemo_experiments/QuartzNet/2026-01-02_03-04-05/checkpoints/";
  write(checkpoints + "QuartzNet--val_wer=0.2000-epoch=4.ckpt");
  write(checkpoints + "QuartzNet--val_wer=0.1000-epoch=5.ckpt");
  write(checkpoints + "QuartzNet--val_wer=0.1000-epoch=6-end.ckpt");
  // Lightning: one kept checkpoint of known step.
  write("lightning_logs/version_3/hparams.yaml", "{}\n");
  write("lightning_logs/version_3/metrics.csv", "epoch,step,train_loss\n0,49,2.0\n0,99,1.5\n");
  write("lightning_logs/version_3/checkpoints/epoch=0-step=120.ckpt");
  // An older fathom, with what its log says.
  write("old/cmd-args.log");
  write("old/config.yaml", "exp_manager: {checkpoint_callback_params: {monitor: val_acc, mode: max}}\n");
  write("old/metrics.csv", "epoch,step,val_acc\n0,3,0.5\n1,7,0.75\n");
  write(
      "old/nemo_log_globalrank-0_localrank-0.txt",
      "[fathom I 12:00:00 experiment] run folder /x\n[fathom I 12:00:09 trainer] fit stopped: max_epochs=2 reached\n");
  const auto found = find();
  EXPECT_THAT(problems_, IsEmpty());
  ASSERT_EQ(found.size(), 3u);
  const RunInfo &nemo = found[0], &lightning = found[1], &old = found[2];
  EXPECT_EQ(nemo.name + "/" + nemo.version, "QuartzNet/2026-01-02_03-04-05");
  EXPECT_EQ(nemo.state, "finished");
  EXPECT_EQ(nemo.epochs, 7);
  EXPECT_EQ(nemo.global_step, std::nullopt);
  EXPECT_EQ(nemo.best, std::nullopt);
  EXPECT_EQ(lightning.name + "/" + lightning.version, "lightning_logs/version_3");
  EXPECT_EQ(lightning.state, "unknown");
  EXPECT_EQ(lightning.epochs, 1);
  EXPECT_EQ(lightning.global_step, 120);
  EXPECT_EQ(old.state, "finished");
  EXPECT_EQ(old.best, 0.75);
  EXPECT_FALSE(old.recorded);
}

TEST_F(RunListing, GarbageIsToldAndTheListingGoesOn) {
  write("a/run.json", "{ half");
  write("b/metrics.csv", std::string("\0\xff\n\n", 4));
  write("c/cmd-args.log");
  write("c/config.yaml", "a: [1\n");
  write("\xff\xfe/metrics.csv", "epoch,step\n0,4\n");
  write("d/no_run.txt");
  fs::create_directories(folder_ / "e/metrics.csv");
  fs::create_directory_symlink(folder_, folder_ / "loop");
  const auto found = find();
  EXPECT_EQ(found.size(), 5u);
  std::string all;
  for (const auto& problem : problems_) all += problem;
  for (const char* file : {"a/run.json", "b/metrics.csv:1", "c/config.yaml", "e/metrics.csv"})
    EXPECT_THAT(all, HasSubstr(file));
  EXPECT_EQ(problems_.size(), 4u) << all;
  for (const RunInfo& run : found) {
    EXPECT_NO_THROW(json_text(to_json(run)));
    EXPECT_EQ(run.state, "unknown");
  }
  EXPECT_THAT(runs_text(found), HasSubstr("unknown"));
  EXPECT_THAT(error_of([&] { find_runs(folder_ / "none", {}, {}); }), HasSubstr("no such folder"));
}

TEST_F(RunListing, WhatWasSetAsideIsShownWhenAskedFor) {
  write("a/cmd-args.log");
  write("a/run_0/cmd-args.log");
  write("a/run_0/metrics.csv", "epoch,step\n0,4\n");
  write("a/.hidden/metrics.csv", "epoch,step\n0,4\n");
  EXPECT_EQ(find().size(), 1u);
  const auto all = find({.set_aside = true});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].name + "/" + all[1].version, "a/run_0");
}

TEST_F(RunListing, Sorting) {
  const auto names = [](std::vector<RunInfo> runs, RunOrder order, bool reverse = false) {
    sort_runs(runs, order, reverse);
    std::vector<std::string> out;
    for (const auto& run : runs) out.push_back(run.name);
    return out;
  };
  RunInfo a, b, c;
  a.name = "a", b.name = "b", c.name = "c";
  a.changed = 1, b.changed = 3;
  a.epochs = 5, b.epochs = 2, c.epochs = 9;
  for (RunInfo* run : {&a, &b}) run->monitor = "wer", run->mode = "min";
  a.best = 0.5, b.best = 0.1;
  const std::vector<RunInfo> runs = {a, b, c};
  EXPECT_THAT(names(runs, RunOrder::kChanged), ElementsAre("b", "a", "c"));
  EXPECT_THAT(names(runs, RunOrder::kChanged, true), ElementsAre("a", "b", "c"));
  EXPECT_THAT(names(runs, RunOrder::kEpochs), ElementsAre("c", "a", "b"));
  EXPECT_THAT(names(runs, RunOrder::kName, true), ElementsAre("c", "b", "a"));
  EXPECT_THAT(names(runs, RunOrder::kBest), ElementsAre("b", "a", "c"));
  auto maximal = runs;
  maximal[0].mode = maximal[1].mode = "max";
  EXPECT_THAT(names(maximal, RunOrder::kBest), ElementsAre("a", "b", "c"));
  EXPECT_EQ(run_order("best"), RunOrder::kBest);
  EXPECT_EQ(run_order("size"), std::nullopt);
}

TEST(CheckpointNames, NumbersAndMetrics) {
  EXPECT_EQ(number_in_name("x/q--val_wer=0.1234-epoch=12-last.ckpt", "val_wer"), 0.1234);
  EXPECT_EQ(number_in_name("x/q--val_wer=0.1234-epoch=12-last.ckpt", "epoch"), 12);
  EXPECT_EQ(number_in_name("q--val_wer=1.5.ckpt", "val_wer"), 1.5);
  EXPECT_EQ(number_in_name("q--val_wer=1e-3-step=4.ckpt", "val_wer"), 1e-3);
  EXPECT_EQ(number_in_name("q--my_wer=3.ckpt", "wer"), std::nullopt);
  EXPECT_EQ(number_in_name("q--wer=x.ckpt", "wer"), std::nullopt);
  EXPECT_THAT(metrics_in_name("a/q--val_wer=0.5-epoch=1-step=2.ckpt"), ElementsAre("val_wer"));
}

}  // namespace
}  // namespace fathom::runs
