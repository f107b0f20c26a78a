#include "plugins/callbacks/nemo_model_checkpoint.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "plugins/callbacks/ema.h"
#include "plugins/callbacks/fake_trainer.h"
#include "tests/support/folder_test.h"

namespace fathom::callbacks {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_directory()) names.push_back(fs::relative(entry.path(), folder));
  }
  std::sort(names.begin(), names.end());
  return names;
}

class NeMoModelCheckpointTest : public FolderTest {
 protected:
  std::unique_ptr<NeMoModelCheckpoint> make(const Json& config = Json::object()) {
    return std::make_unique<NeMoModelCheckpoint>(parse_options<NeMoModelCheckpoint::Options>(config, "callback"),
                                                 Json{{"checkpoint_dir", folder_.string()}, {"name", "default"}});
  }
  std::string at(const std::string& name) const { return folder_ / name; }
};

TEST_F(NeMoModelCheckpointTest, DefaultsOfARun) {
  FakeTrainer trainer;
  trainer.progress.max_epochs = 3;
  trainer.val_loss = {3, 1, 2};
  const auto callback = make();
  trainer.add(*callback);
  trainer.fit();
  EXPECT_THAT(names_in(folder_),
              ElementsAre("default--val_loss=1.0000-epoch=1.ckpt", "default--val_loss=2.0000-epoch=2.ckpt",
                          "default--val_loss=2.0000-epoch=3-last.ckpt", "default--val_loss=3.0000-epoch=0.ckpt",
                          "default.nemo"));
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST_F(NeMoModelCheckpointTest, AnAverageOfTheWeightsGivesEachFileATwin) {
  FakeTrainer trainer;
  trainer.progress.max_epochs = 4;
  trainer.val_loss = {3, 1, 2, 0.5};
  Ema average{Ema::Options()};
  const auto callback = make({{"save_top_k", 2}});
  trainer.add(average);
  trainer.add(*callback);
  bool averages_validated = true;
  trainer.after = [&](const char* hook) {
    if (std::string(hook) == "validation_end") averages_validated = averages_validated && !trainer.average_in_use;
  };
  trainer.fit();
  EXPECT_TRUE(trainer.averaging);
  EXPECT_TRUE(averages_validated) << "after a validation the model has its own weights";
  // Of the two that were replaced nothing is left.
  EXPECT_THAT(names_in(folder_),
              ElementsAre("default--val_loss=0.5000-epoch=3-EMA.ckpt", "default--val_loss=0.5000-epoch=3.ckpt",
                          "default--val_loss=0.5000-epoch=4-last-EMA.ckpt",
                          "default--val_loss=0.5000-epoch=4-last.ckpt", "default--val_loss=1.0000-epoch=1-EMA.ckpt",
                          "default--val_loss=1.0000-epoch=1.ckpt", "default-EMA.nemo", "default.nemo"));
  EXPECT_EQ(text_of(at("default--val_loss=1.0000-epoch=1.ckpt")), "8 all");
  EXPECT_EQ(text_of(at("default--val_loss=1.0000-epoch=1-EMA.ckpt")), "8 all average");
  EXPECT_EQ(text_of(at("default-EMA.nemo")), "0 average");
  EXPECT_EQ(text_of(at("default.nemo")), "0");
}

TEST_F(NeMoModelCheckpointTest, TwinsAreNotCountedAmongTheBestAfterAResume) {
  fs::create_directories(folder_);
  for (const char* name : {"default--val_loss=1.0000-epoch=1", "default--val_loss=2.0000-epoch=2"}) {
    std::ofstream(at(std::string(name) + ".ckpt")) << 1;
    std::ofstream(at(std::string(name) + "-EMA.ckpt")) << 1;
  }
  FakeTrainer trainer;
  trainer.resumed_from = at("default--val_loss=2.0000-epoch=2.ckpt");
  const auto callback = make({{"save_top_k", 2}});
  trainer.add(*callback);
  trainer.emit(Event::kFitStart);
  trainer.emit(Event::kTrainStart);
  EXPECT_EQ(callback->save_state()["best_k_models"].size(), 2u);
  EXPECT_EQ(names_in(folder_).size(), 4u);
}

TEST_F(NeMoModelCheckpointTest, TheBestOfAnAveragedRunIsSavedTwiceToo) {
  FakeTrainer trainer;
  trainer.progress.max_epochs = 2;
  trainer.val_loss = {1, 2};
  Ema average{Ema::Options()};
  const auto callback = make({{"save_best_model", true}});
  trainer.add(average);
  trainer.add(*callback);
  trainer.fit();
  EXPECT_EQ(text_of(at("default.nemo")), "4") << "the weights of the best checkpoint, which is of step 4";
  EXPECT_EQ(text_of(at("default-EMA.nemo")), "4");
  EXPECT_EQ(trainer.saved.back(), at("default.nemo"));
}

TEST(Ema, RefusesWhatIsNoAverage) {
  FakeTrainer trainer;  // the host that errors need
  EXPECT_THROW(Ema(parse_options<Ema::Options>({{"decay", 1.5}}, "exp_manager.ema")), Error);
  EXPECT_THROW(Ema(parse_options<Ema::Options>({{"decay", -0.5}}, "exp_manager.ema")), Error);
  EXPECT_THROW(Ema(parse_options<Ema::Options>({{"every_n_steps", 0}}, "exp_manager.ema")), Error);
}

TEST(Ema, ValidatesTheWeightsThemselvesOnRequest) {
  FakeTrainer trainer;
  Ema average(parse_options<Ema::Options>({{"validate_original_weights", true}}, "exp_manager.ema"));
  trainer.add(average);
  trainer.emit(Event::kFitStart);
  trainer.emit(Event::kValidationStart);
  EXPECT_TRUE(trainer.averaging);
  EXPECT_FALSE(trainer.average_in_use);
}

TEST_F(NeMoModelCheckpointTest, InterruptSavesLastAndRemovesTheOlderOne) {
  FakeTrainer trainer;
  trainer.val_loss = {3};
  const auto callback = make({{"save_last", false}});
  trainer.add(*callback);
  trainer.emit(Event::kFitStart);
  trainer.emit(Event::kTrainStart);
  trainer.progress.global_step = 2;
  trainer.emit(Event::kInterrupt);
  trainer.metrics["val_loss"] = 0.5;
  trainer.emit(Event::kInterrupt);
  EXPECT_THAT(names_in(folder_), ElementsAre("default--val_loss=0.5000-epoch=0-last.ckpt"));
}

TEST_F(NeMoModelCheckpointTest, WithoutMonitorOrValidationEachEpochIsSaved) {
  FakeTrainer trainer;
  trainer.progress.has_validation = 0;
  trainer.progress.max_epochs = 2;
  const auto callback = make({{"monitor", nullptr}});
  trainer.add(*callback);
  trainer.fit();
  EXPECT_THAT(names_in(folder_), ElementsAre("default--epoch=1.ckpt", "default--epoch=2-last.ckpt", "default.nemo"));
}

TEST_F(NeMoModelCheckpointTest, BestWeightsGoIntoTheNemoFile) {
  for (const bool always : {false, true}) {
    fs::remove_all(folder_);
    FakeTrainer trainer;
    trainer.progress.max_epochs = 3;
    trainer.val_loss = {3, 1, 2};
    trainer.after = [&](const char* hook) {
      if (std::string_view(hook) == "train_end") return;
      trainer.weights = static_cast<int>(trainer.progress.global_step);
    };
    const auto callback =
        make({{"save_best_model", true}, {"always_save_nemo", always}, {"save_nemo_on_train_end", !always}});
    trainer.add(*callback);
    trainer.fit();
    int weights = 0;
    std::ifstream(at("default.nemo")) >> weights;
    EXPECT_EQ(weights, 8);
    EXPECT_EQ(trainer.weights, always ? 12 : 8);  // at the end the model has the best weights too
  }
}

TEST_F(NeMoModelCheckpointTest, UnfinishedCheckpointsAreRemovedAndMissingOnesForgotten) {
  const Json config = {{"save_top_k", 2}};
  FakeTrainer trainer;
  trainer.progress.max_epochs = 2;
  trainer.val_loss = {3, 1};
  const auto first = make(config);
  trainer.add(*first);
  trainer.fit();
  std::ofstream(at("default--val_loss=3.0000-epoch=0-unfinished")).put('x');

  FakeTrainer resumed;
  resumed.progress = trainer.progress;
  resumed.progress.max_epochs = 3;
  resumed.val_loss = {4};
  resumed.resumed_from = at("default--val_loss=1.0000-epoch=2-last.ckpt");
  const auto second = make(config);
  second->load_state(first->save_state());
  resumed.add(*second);
  resumed.fit();
  // 4 is worse than 3, but 3 is gone; and of the -last files only the newest is left.
  EXPECT_THAT(names_in(folder_),
              ElementsAre("default--val_loss=1.0000-epoch=1.ckpt", "default--val_loss=4.0000-epoch=2.ckpt",
                          "default--val_loss=4.0000-epoch=3-last.ckpt", "default.nemo"));
}

TEST_F(NeMoModelCheckpointTest, BestAreReadFromNamesWhenTheStateIsOfAnotherFolder) {
  fs::create_directories(folder_);
  for (const char* name : {"m--val_loss=3.0000-epoch=0.ckpt", "m--val_loss=-1.5000-epoch=1.ckpt",
                           "m--val_loss=1e-05-epoch=2.ckpt", "m--val_loss=2.0000-epoch=3-last.ckpt"}) {
    std::ofstream(at(name)) << 1;
  }
  FakeTrainer trainer;
  trainer.resumed_from = at("m--val_loss=2.0000-epoch=3-last.ckpt");
  const auto callback = make({{"save_top_k", 2}, {"filename", "m--{val_loss:.4f}-{epoch}"}});
  callback->load_state({{"dirpath", "/elsewhere"}, {"best_model_path", "/elsewhere/x.ckpt"}});
  trainer.add(*callback);
  trainer.emit(Event::kFitStart);
  trainer.emit(Event::kTrainStart);
  const Json state = callback->save_state();
  EXPECT_EQ(state["best_model_path"], at("m--val_loss=-1.5000-epoch=1.ckpt"));
  EXPECT_EQ(state["best_k_models"].size(), 2u);
  EXPECT_FALSE(fs::exists(at("m--val_loss=3.0000-epoch=0.ckpt")));
}

TEST_F(NeMoModelCheckpointTest, FullDiskLeavesNoMarker) {
  FakeTrainer trainer;
  trainer.disk_full = true;
  trainer.val_loss = {1};
  const auto callback = make();
  trainer.add(*callback);
  EXPECT_THROW(trainer.fit(), Error);
  EXPECT_THAT(names_in(folder_), ElementsAre());
}

TEST_F(NeMoModelCheckpointTest, WhatIsNotThereIsRefused) {
  EXPECT_THROW(make({{"async_save", true}}), Error);
  EXPECT_THROW(make({{"model_parallel_size", 2}}), Error);
  EXPECT_THROW(make({{"save_last_n_optim_states", 1}}), Error);
  EXPECT_THROW(make({{"every_n_train_steps", 2}}), Error);
  EXPECT_NO_THROW(make({{"every_n_train_steps", 2}, {"every_n_epochs", nullptr}}));
}

// NeMo's own runs, resumed ones included.
TEST_F(NeMoModelCheckpointTest, Recorded) {
  const std::string path = std::string(FATHOM_SOURCE_DIR) + "/../shared/golden/checkpoint_names/nemo_checkpoint.jsonl";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << path << " is not there";
  int cases = 0;
  for (std::string line; std::getline(file, line);) {
    const Json c = parse_text(line);
    const Json& manager = c["exp_manager"];
    // Not this callback's: the moving average, several runs (their glue is exp_manager's), other managers' options.
    if (c["runs"].size() != 1 || manager.contains("ema") || !c["checkpoint_callback_params"].is_object()) continue;
    const Json& t = c["trainer"];
    const Json& expect = c["expect"][0];
    if (c["id"] == "vci-across") continue;  // a fault of the original
    ++cases;
    SCOPED_TRACE(c["id"].get<std::string>());
    fs::remove_all(folder_);
    FakeTrainer trainer;
    auto& p = trainer.progress;
    p.training_batches = c["n_train"];
    p.max_epochs = t.value("max_epochs", -1);
    p.max_steps = t.value("max_steps", -1);
    if (t.value("fast_dev_run", false)) p.fast_dev_run = 1, p.max_epochs = 1, p.training_batches = 1;
    trainer.accumulate = t.value("accumulate_grad_batches", 1);
    p.check_val_every_n_epoch = t.value("check_val_every_n_epoch", 1);
    if (t.contains("val_check_interval")) {
      const Json& interval = t["val_check_interval"];
      p.val_check_interval = interval.get<double>();
      p.val_check_counts_batches = interval.is_number_integer() ? 1 : 0;
      trainer.validate_every =
          interval.is_number_integer()
              ? interval.get<int64_t>()
              : static_cast<int64_t>(static_cast<double>(p.training_batches) * p.val_check_interval);
    }
    p.has_validation = !c.value("no_val", false);
    for (const auto& v : c["val_loss"]) trainer.val_loss.push_back(v.get<double>());
    if (c.contains("train_x") && c["train_x"].is_array()) trainer.train_x = c["train_x"].get<std::vector<double>>();
    trainer.val_name = c.value("val_name", "val_loss");
    if (c.contains("stop_at")) trainer.stop_epoch = c["stop_at"][0], trainer.stop_batch = c["stop_at"][1];

    Json params = c["checkpoint_callback_params"];
    params.erase("dirpath");  // the folder is not what is looked at
    if (params.contains("filepath"))
      params["filepath"] = (folder_ / fs::path(params["filepath"].get<std::string>()).filename()).string();
    std::string error;
    std::unique_ptr<NeMoModelCheckpoint> callback;
    try {
      callback = make(params);
      trainer.add(*callback);
      trainer.fit();
    } catch (const Error& problem) {
      error = problem.what();
    }
    EXPECT_EQ(error.empty(), expect["status"] == "ok") << error;
    std::vector<std::string> saved, wanted;
    for (const auto& name : trainer.saved) saved.push_back(fs::path(name).filename());
    for (const auto& entry : expect["log"]) {
      if (entry[0] == "save" || entry[0] == "save_nemo")
        wanted.push_back(fs::path(entry[3].get<std::string>()).filename());
    }
    EXPECT_EQ(saved, wanted);
    std::vector<std::string> files, wanted_files;
    for (const auto& name : names_in(folder_)) files.push_back(fs::path(name).filename());
    if (expect.contains("files")) {
      for (const auto& name : expect["files"]) {
        const fs::path file_path = name.get<std::string>();
        if (file_path.string().ends_with(".ckpt") || file_path.string().ends_with(".nemo"))
          wanted_files.push_back(file_path.filename());
      }
    }
    EXPECT_THAT(files, ::testing::UnorderedElementsAreArray(wanted_files));
    if (error.empty() && expect.contains("callback")) {
      EXPECT_EQ(callback->state_key(), expect["callback"]["state_key"].get<std::string>());
    }
  }
  EXPECT_GT(cases, 30);
}

}  // namespace
}  // namespace fathom::callbacks
