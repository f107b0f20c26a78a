// Which files the checkpoint callbacks write and remove: whole runs in this process, with the real trainer. Recorded
// cases of the same are the suite checkpoint_names.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <fstream>

#include "core/archive/json_pickle.h"
#include "core/base/interrupt.h"
#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "tests/support/folder_test.h"
#include "tests/support/scripted_run.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using checkpoint::PickleValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> listing(const fs::path& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    std::string name = entry.path().lexically_relative(folder);
    if (entry.is_symlink()) name += " -> " + fs::read_symlink(entry.path()).string();
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// 4 batches an epoch.
class Saving : public FolderTest {
 protected:
  void SetUp() override { fs::current_path(folder_); }
  void TearDown() override {
    request_interrupt(0);
    fs::current_path("/");
  }

  // With Lightning's ModelCheckpoint.
  std::vector<std::string> run(Json callback, Json trainer, std::vector<double> val_loss = {}, bool validates = true,
                               const std::string& resume = "") {
    callback["_target_"] = "ModelCheckpoint";
    if (!callback.contains("dirpath")) callback["dirpath"] = at("saved");
    trainer["callbacks"] = Json::array({std::move(callback)});
    RunRequest request = scripted_request(std::move(trainer), 4, validates);
    if (!resume.empty()) request.config["ckpt_path"] = resume;
    script_.val_loss = std::move(val_loss);
    run_scripted(request, script_, summary_);
    return listing(at("saved"));
  }
  // A fresh folder and script each time.
  std::vector<std::string> anew(const Json& callback, const Json& trainer, std::vector<double> val_loss = {},
                                bool validates = true) {
    fs::remove_all(at("saved"));
    const auto look = script_.look;
    script_ = Script();
    script_.look = look;
    return run(callback, trainer, std::move(val_loss), validates);
  }
  // With NeMo's, made by exp_manager in the folder "run".
  std::vector<std::string> run_nemo(const Json& params, Json trainer, std::vector<double> val_loss = {},
                                    bool validates = true, const Json& manager = Json::object()) {
    RunRequest request = scripted_request(std::move(trainer), 4, validates);
    Json& section = request.config["exp_manager"];
    section = {{"explicit_log_dir", at("run")},
               {"create_tensorboard_logger", false},
               {"create_csv_logger", false},
               {"log_step_timing", false},
               {"resume_if_exists", true},
               {"resume_ignore_no_checkpoint", true},
               {"checkpoint_callback_params", params}};
    section.update(manager);
    script_.val_loss = std::move(val_loss);
    script_.validations = 0;
    run_scripted(request, script_, summary_);
    return listing(at("run/checkpoints"));
  }
  std::string at(const std::string& name) const { return folder_ / name; }
  Json states(const std::string& file) const {
    return checkpoint::pickle_to_json(checkpoint::load_torch_file(at(file)).at("callbacks"));
  }

  Script script_;
  RunSummary summary_;
};

TEST_F(Saving, Table) {
  const Json two = {{"max_epochs", 2}};
  EXPECT_THAT(anew(Json::object(), two), ElementsAre("epoch=1-step=8.ckpt"));
  EXPECT_THAT(anew({{"save_last", true}}, two), ElementsAre("epoch=1-step=8.ckpt", "last.ckpt"));
  EXPECT_THAT(anew({{"save_last", "link"}}, two),
              ElementsAre("epoch=1-step=8.ckpt", "last.ckpt -> epoch=1-step=8.ckpt"));
  const Json best = {{"monitor", "val_loss"}, {"save_top_k", 2}, {"filename", "{epoch}-{val_loss:.2f}"}};
  EXPECT_THAT(anew(best, {{"max_epochs", 4}}, {3, 1, 2, 5}),
              ElementsAre("epoch=1-val_loss=1.00.ckpt", "epoch=2-val_loss=2.00.ckpt"));
  Json same = {{"monitor", "val_loss"}, {"save_top_k", 3}, {"filename", "x"}};
  EXPECT_THAT(anew(same, {{"max_epochs", 3}}, {3, 1, 2}), ElementsAre("x-v1.ckpt", "x-v2.ckpt", "x.ckpt"));
  same["enable_version_counter"] = false;
  EXPECT_THAT(anew(same, {{"max_epochs", 3}}, {3, 1, 2}), ElementsAre("x.ckpt"));
  EXPECT_THAT(anew({{"every_n_train_steps", 3}, {"save_top_k", -1}}, two),
              ElementsAre("epoch=0-step=3.ckpt", "epoch=1-step=6.ckpt"));
  EXPECT_THAT(anew({{"every_n_epochs", 2}, {"save_top_k", -1}, {"save_last", true}}, {{"max_epochs", 5}}),
              ElementsAre("epoch=1-step=8.ckpt", "epoch=3-step=16.ckpt", "last.ckpt"));
  EXPECT_THAT(anew({{"save_top_k", -1}}, {{"max_epochs", 2}, {"val_check_interval", 0.5}}),
              ElementsAre("epoch=0-step=2.ckpt", "epoch=0-step=4.ckpt", "epoch=1-step=6.ckpt", "epoch=1-step=8.ckpt"));
  EXPECT_THAT(anew({{"save_top_k", -1}}, {{"max_epochs", 5}, {"check_val_every_n_epoch", 2}}),
              ElementsAre("epoch=1-step=8.ckpt", "epoch=3-step=16.ckpt"));
  EXPECT_THAT(anew(Json::object(), {{"max_steps", 3}}), ElementsAre("epoch=0-step=3.ckpt"));
  EXPECT_THAT(anew({{"monitor", "val_loss"}}, {{"max_epochs", 3}}, {1, 1, 1}), ElementsAre("epoch=0-step=4.ckpt"));
  EXPECT_THAT(anew({{"monitor", "val_loss"}, {"mode", "max"}}, {{"max_epochs", 3}}, {1, std::nan(""), 2}),
              ElementsAre("epoch=2-step=12.ckpt"));
  EXPECT_THAT(anew(Json::object(), {{"fast_dev_run", true}}), ElementsAre());
}

TEST_F(Saving, OptionsThatContradictEachOther) {
  for (const Json& bad : {Json{{"save_top_k", 2}}, Json{{"save_top_k", -2}, {"monitor", "x"}}, Json{{"mode", "best"}},
                          Json{{"every_n_train_steps", -1}}, Json{{"every_n_train_steps", 1}, {"every_n_epochs", 1}},
                          Json{{"save_last", "no"}}}) {
    EXPECT_THROW(anew(bad, {{"max_epochs", 1}}), Error) << bad;
  }
  for (const char* flag : {"enable_checkpointing"}) {
    try {
      anew(Json::object(), {{"max_epochs", 1}, {flag, false}});
      ADD_FAILURE() << "accepted beside a ModelCheckpoint";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("trainer.enable_checkpointing=false"));
    }
  }
}

TEST_F(Saving, MetricThatIsNeverLoggedIsAnError) {
  EXPECT_THROW(anew({{"monitor", "nope"}, {"save_on_train_epoch_end", false}}, {{"max_epochs", 1}}, {1}), Error);
  EXPECT_THAT(anew({{"monitor", "nope"}, {"every_n_train_steps", 1}}, {{"max_epochs", 1}}, {}, false), ElementsAre());
}

// Files may not grow any more: what a full disk says to whoever writes.
TEST_F(Saving, FullDiskLeavesTheOldCheckpoints) {
  for (const bool nemo : {false, true}) {
    fs::remove_all(at("saved"));
    fs::remove_all(at("run"));
    script_ = Script();
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    ::signal(SIGXFSZ, SIG_IGN);
    std::vector<std::string> there;
    const std::string folder = nemo ? "run/checkpoints" : "saved";
    script_.look = [&](const std::string& hook, Trainer& trainer) {
      if (hook != "on_train_epoch_start" || trainer.progress().epoch != 1) return;
      there = listing(at(folder));
      rlimit none = before;
      none.rlim_cur = 1024;
      ::setrlimit(RLIMIT_FSIZE, &none);
    };
    std::string problem;
    try {
      if (nemo)
        run_nemo({{"save_top_k", 1}}, {{"max_epochs", 2}}, {3, 1});
      else
        run({{"monitor", "val_loss"}, {"save_last", true}}, {{"max_epochs", 2}}, {3, 1});
    } catch (const Error& error) {
      problem = error.what();
      EXPECT_EQ(error.code(), Code::kIo);
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_NE(problem, "");
    EXPECT_FALSE(there.empty());
    EXPECT_EQ(listing(at(folder)), there);  // no marker and no half file either
  }
}

TEST_F(Saving, InterruptSavesLast) {
  script_.look = [](const std::string& hook, Trainer& trainer) {
    if (hook == "on_train_batch_end" && trainer.progress().global_step == 2) request_interrupt(SIGINT);
  };
  EXPECT_THAT(run(Json::object(), {{"max_epochs", 2}}), ElementsAre("last.ckpt"));
  EXPECT_EQ(summary_.status, "interrupted");
  EXPECT_EQ(summary_.checkpoints.size(), 1u);
}

TEST_F(Saving, StateGoesOn) {
  const Json config = {{"monitor", "val_loss"}, {"save_top_k", 2}, {"save_last", true}, {"filename", "{epoch}"}};
  run(config, {{"max_epochs", 2}}, {3, INFINITY});
  const Json state = states("saved/last.ckpt").front();
  EXPECT_EQ(states("saved/last.ckpt").begin().key(),
            "ModelCheckpoint{'monitor': 'val_loss', 'mode': 'min', 'every_n_train_steps': 0, 'every_n_epochs': 1, "
            "'train_time_interval': None}");
  EXPECT_EQ(state["best_model_path"], at("saved/epoch=0.ckpt"));
  EXPECT_EQ(state["best_model_score"], 3.0);
  script_.validations = 0;
  EXPECT_THAT(run(config, {{"max_epochs", 3}}, {1}, true, at("saved/last.ckpt")),
              ElementsAre("epoch=0.ckpt", "epoch=2.ckpt", "last.ckpt"));
  EXPECT_EQ(states("saved/last.ckpt").front()["best_model_path"], at("saved/epoch=2.ckpt"));
}

TEST_F(Saving, LastIsAWordForTheNewest) {
  EXPECT_THAT(run({{"save_last", true}}, {{"max_epochs", 1}}, {}, true, "last"),
              ElementsAre("epoch=0-step=4.ckpt", "last.ckpt"));
  run({{"save_last", true}}, {{"max_epochs", 2}}, {}, true, "last");
  EXPECT_EQ(summary_.global_step, 8);
  EXPECT_THROW(run(Json::object(), {{"max_epochs", 3}}, {}, true, "best"), Error);
}

TEST_F(Saving, NemosDefaults) {
  EXPECT_THAT(run_nemo(Json::object(), {{"max_epochs", 3}}, {3, 1, 2}),
              ElementsAre("default--val_loss=1.0000-epoch=1.ckpt", "default--val_loss=2.0000-epoch=2.ckpt",
                          "default--val_loss=2.0000-epoch=3-last.ckpt", "default--val_loss=3.0000-epoch=0.ckpt",
                          "default.nemo"));
}

TEST_F(Saving, NemoAfterTheTrainingEpochWhereLightningWould) {
  std::string hook_of_first;
  script_.look = [&](const std::string& hook, Trainer&) {
    if (hook_of_first.empty() && !listing(at("run/checkpoints")).empty()) hook_of_first = hook;
  };
  run_nemo({{"save_on_train_epoch_end", nullptr}}, {{"max_epochs", 1}}, {3});
  EXPECT_EQ(hook_of_first, "on_train_epoch_end");
  fs::remove_all(at("run"));
  hook_of_first.clear();
  run_nemo(Json::object(), {{"max_epochs", 1}}, {3});
  EXPECT_EQ(hook_of_first, "on_validation_end");
}

TEST_F(Saving, AnAverageOfTheWeightsGivesEachFileATwin) {
  EXPECT_THAT(run_nemo({{"save_top_k", 2}}, {{"max_epochs", 4}}, {3, 1, 2, 0.5}, true,
                       {{"ema", {{"enable", true}, {"decay", 0.9}}}}),
              ElementsAre("default--val_loss=0.5000-epoch=3-EMA.ckpt", "default--val_loss=0.5000-epoch=3.ckpt",
                          "default--val_loss=0.5000-epoch=4-last-EMA.ckpt",
                          "default--val_loss=0.5000-epoch=4-last.ckpt", "default--val_loss=1.0000-epoch=1-EMA.ckpt",
                          "default--val_loss=1.0000-epoch=1.ckpt", "default-EMA.nemo", "default.nemo"));
  const auto weight = [&](const char* file) {
    const PickleValue saved = checkpoint::load_torch_file(at(std::string("run/checkpoints/") + file));
    return checkpoint::to_tensor(saved.at("state_dict").at("layer.weight")).item<float>();
  };
  EXPECT_NE(weight("default--val_loss=0.5000-epoch=3.ckpt"), weight("default--val_loss=0.5000-epoch=3-EMA.ckpt"));
  // A run that goes on counts no twin among the best.
  run_nemo({{"save_top_k", 2}}, {{"max_epochs", 5}}, {4}, true, {{"ema", {{"enable", true}, {"decay", 0.9}}}});
  EXPECT_THAT(listing(at("run/checkpoints")),
              ElementsAre("default--val_loss=0.5000-epoch=3-EMA.ckpt", "default--val_loss=0.5000-epoch=3.ckpt",
                          "default--val_loss=1.0000-epoch=1-EMA.ckpt", "default--val_loss=1.0000-epoch=1.ckpt",
                          "default--val_loss=4.0000-epoch=5-last-EMA.ckpt",
                          "default--val_loss=4.0000-epoch=5-last.ckpt", "default-EMA.nemo", "default.nemo"));
}

TEST_F(Saving, NemosInterruptRemovesTheOlderLast) {
  script_.look = [](const std::string& hook, Trainer& trainer) {
    if (hook == "on_train_batch_end" && trainer.progress().global_step == 6) request_interrupt(SIGTERM);
  };
  EXPECT_THAT(run_nemo({{"save_top_k", 0}}, {{"max_epochs", 2}}, {3}),
              ElementsAre("default--val_loss=3.0000-epoch=1-last.ckpt"));
}

TEST_F(Saving, WithoutMonitorOrValidationEachEpochIsSaved) {
  EXPECT_THAT(run_nemo({{"monitor", nullptr}}, {{"max_epochs", 2}}, {}, false),
              ElementsAre("default--epoch=1.ckpt", "default--epoch=2-last.ckpt", "default.nemo"));
}

TEST_F(Saving, BestWeightsGoIntoTheNemoFile) {
  for (const bool always : {false, true}) {
    fs::remove_all(at("run"));
    run_nemo({{"save_best_model", true}, {"always_save_nemo", always}, {"save_nemo_on_train_end", !always}},
             {{"max_epochs", 3}}, {3, 1, 2});
    const PickleValue best = checkpoint::load_torch_file(at("run/checkpoints/default--val_loss=1.0000-epoch=1.ckpt"));
    const RestoredModel model = restore_nemo(at("run/checkpoints/default.nemo"));
    EXPECT_EQ(model.model.torch_module()->named_parameters()["layer.weight"].item<float>(),
              checkpoint::to_tensor(best.at("state_dict").at("layer.weight")).item<float>());
  }
}

TEST_F(Saving, UnfinishedCheckpointsAreRemovedAndMissingOnesForgotten) {
  const Json config = {{"save_top_k", 2}};
  run_nemo(config, {{"max_epochs", 2}}, {3, 1});
  std::ofstream(at("run/checkpoints/default--val_loss=3.0000-epoch=0-unfinished")).put('x');
  // 4 is worse than 3, but 3 is gone; and of the -last files only the newest is left.
  EXPECT_THAT(run_nemo(config, {{"max_epochs", 3}}, {4}),
              ElementsAre("default--val_loss=1.0000-epoch=1.ckpt", "default--val_loss=4.0000-epoch=2.ckpt",
                          "default--val_loss=4.0000-epoch=3-last.ckpt", "default.nemo"));
}

TEST_F(Saving, BestAreReadFromNamesWhenTheStateIsOfAnotherFolder) {
  run_nemo({{"save_top_k", 3}, {"filename", "m--{val_loss:.4f}-{epoch}"}}, {{"max_epochs", 3}}, {3, -1.5, 1e-5});
  fs::rename(at("run"), at("moved"));
  script_.val_loss = {9};
  RunRequest request = scripted_request({{"max_epochs", 4}}, 4);
  request.config["exp_manager"] = {
      {"explicit_log_dir", at("moved")},
      {"create_tensorboard_logger", false},
      {"create_csv_logger", false},
      {"log_step_timing", false},
      {"resume_if_exists", true},
      {"checkpoint_callback_params", {{"save_top_k", 2}, {"filename", "m--{val_loss:.4f}-{epoch}"}}}};
  script_.validations = 0;
  run_scripted(request, script_, summary_);
  EXPECT_THAT(listing(at("moved/checkpoints")),
              ElementsAre("default.nemo", "m--val_loss=-1.5000-epoch=1.ckpt", "m--val_loss=0.0000-epoch=2.ckpt",
                          "m--val_loss=9.0000-epoch=4-last.ckpt"));
}

TEST_F(Saving, WhatNemoHasAndIsNotThereIsRefused) {
  for (const Json& params : {Json{{"async_save", true}}, Json{{"model_parallel_size", 2}},
                             Json{{"save_last_n_optim_states", 1}}, Json{{"every_n_train_steps", 2}}}) {
    EXPECT_THROW(run_nemo(params, {{"max_epochs", 1}}, {1}), Error) << params;
  }
  EXPECT_NO_THROW(run_nemo({{"every_n_train_steps", 2}, {"every_n_epochs", nullptr}}, {{"max_epochs", 1}}, {1}));
}

TEST_F(Saving, WrongAverages) {
  for (const Json& average : {Json{{"enable", true}, {"decay", 1.5}}, Json{{"enable", true}, {"decay", -0.5}},
                              Json{{"enable", true}, {"every_n_steps", 0}}}) {
    EXPECT_THROW(run_nemo(Json::object(), {{"max_epochs", 1}}, {1}, true, {{"ema", average}}), Error) << average;
  }
}

}  // namespace
}  // namespace fathom
