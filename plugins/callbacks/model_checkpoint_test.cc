#include "plugins/callbacks/model_checkpoint.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "plugins/callbacks/fake_trainer.h"
#include "tests/support/folder_test.h"

namespace fathom::callbacks {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
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

class ModelCheckpointTest : public FolderTest {
 protected:
  std::unique_ptr<ModelCheckpoint> make(const Json& config) {
    return std::make_unique<ModelCheckpoint>(parse_options<ModelCheckpoint::Options>(config, "callback"),
                                             Json{{"checkpoint_dir", folder_.string()}});
  }
  std::vector<std::string> run(const Json& config, int64_t epochs, std::vector<double> val_loss = {},
                               const std::function<void(FakeTrainer&)>& set = {}) {
    fs::remove_all(folder_);
    FakeTrainer trainer;
    trainer.progress.max_epochs = epochs;
    trainer.val_loss = std::move(val_loss);
    if (set) set(trainer);
    const auto callback = make(config);
    trainer.add(*callback);
    trainer.fit();
    return listing(folder_);
  }
};

// The table of recorded cases in Lightning's own terms: 4 batches an epoch.
TEST_F(ModelCheckpointTest, Table) {
  EXPECT_THAT(run({}, 2), ElementsAre("epoch=1-step=8.ckpt"));
  EXPECT_THAT(run({{"save_last", true}}, 2), ElementsAre("epoch=1-step=8.ckpt", "last.ckpt"));
  EXPECT_THAT(run({{"save_last", "link"}}, 2), ElementsAre("epoch=1-step=8.ckpt", "last.ckpt -> epoch=1-step=8.ckpt"));
  const Json best = {{"monitor", "val_loss"}, {"save_top_k", 2}, {"filename", "{epoch}-{val_loss:.2f}"}};
  EXPECT_THAT(run(best, 4, {3, 1, 2, 5}), ElementsAre("epoch=1-val_loss=1.00.ckpt", "epoch=2-val_loss=2.00.ckpt"));
  const Json same = {{"monitor", "val_loss"}, {"save_top_k", 3}, {"filename", "x"}};
  EXPECT_THAT(run(same, 3, {3, 1, 2}), ElementsAre("x-v1.ckpt", "x-v2.ckpt", "x.ckpt"));
  Json overwrite = same;
  overwrite["enable_version_counter"] = false;
  EXPECT_THAT(run(overwrite, 3, {3, 1, 2}), ElementsAre("x.ckpt"));
  EXPECT_THAT(run({{"every_n_train_steps", 3}, {"save_top_k", -1}}, 2),
              ElementsAre("epoch=0-step=3.ckpt", "epoch=1-step=6.ckpt"));
  EXPECT_THAT(run({{"every_n_epochs", 2}, {"save_top_k", -1}, {"save_last", true}}, 5),
              ElementsAre("epoch=1-step=8.ckpt", "epoch=3-step=16.ckpt", "last.ckpt"));
  EXPECT_THAT(run({{"save_top_k", -1}}, 2, {},
                  [](FakeTrainer& t) { t.progress.val_check_interval = 0.5, t.validate_every = 2; }),
              ElementsAre("epoch=0-step=2.ckpt", "epoch=0-step=4.ckpt", "epoch=1-step=6.ckpt", "epoch=1-step=8.ckpt"));
  EXPECT_THAT(run({}, -1, {}, [](FakeTrainer& t) { t.progress.max_steps = 3; }), ElementsAre("epoch=0-step=3.ckpt"));
  EXPECT_THAT(run({{"monitor", "val_loss"}}, 3, {1, 1, 1}), ElementsAre("epoch=0-step=4.ckpt"));
  EXPECT_THAT(run({{"monitor", "val_loss"}, {"mode", "max"}}, 3, {1, std::nan(""), 2}),
              ElementsAre("epoch=2-step=12.ckpt"));
  EXPECT_THAT(run({}, 2, {}, [](FakeTrainer& t) { t.progress.fast_dev_run = 1; }), ElementsAre());
}

TEST_F(ModelCheckpointTest, OptionsThatContradictEachOther) {
  for (const Json& bad : {Json{{"save_top_k", 2}}, Json{{"save_top_k", -2}, {"monitor", "x"}}, Json{{"mode", "best"}},
                          Json{{"every_n_train_steps", -1}}, Json{{"every_n_train_steps", 1}, {"every_n_epochs", 1}},
                          Json{{"save_last", "no"}}}) {
    EXPECT_THROW(make(bad), Error) << bad;
  }
}

TEST_F(ModelCheckpointTest, MetricThatIsNeverLoggedIsAnError) {
  EXPECT_THROW(run({{"monitor", "nope"}, {"save_on_train_epoch_end", false}}, 1, {1}), Error);
  EXPECT_THAT(run({{"monitor", "nope"}, {"every_n_train_steps", 1}, {"save_top_k", 1}}, 1, {},
                  [](FakeTrainer& t) { t.progress.has_validation = 0; }),
              ElementsAre());
}

TEST_F(ModelCheckpointTest, FullDiskLeavesTheOldCheckpoint) {
  FakeTrainer trainer;
  trainer.progress.max_epochs = 1;
  trainer.val_loss = {3, 1};
  const auto callback = make({{"monitor", "val_loss"}, {"save_last", true}});
  trainer.add(*callback);
  trainer.fit();
  const auto before = listing(folder_);
  trainer.progress.max_epochs = 2;
  trainer.disk_full = true;
  try {
    trainer.fit();
    FAIL() << "saving on a full disk succeeded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kIo);
  }
  EXPECT_EQ(listing(folder_), before);
}

TEST_F(ModelCheckpointTest, InterruptSavesLast) {
  FakeTrainer trainer;
  const auto callback = make(Json::object());
  trainer.add(*callback);
  trainer.emit(Event::kFitStart);
  trainer.emit(Event::kTrainStart);
  trainer.progress.global_step = 2;
  trainer.emit(Event::kInterrupt);
  EXPECT_THAT(listing(folder_), ElementsAre("last.ckpt"));
}

TEST_F(ModelCheckpointTest, StateGoesOn) {
  const Json config = {{"monitor", "val_loss"}, {"save_top_k", 2}, {"save_last", true}, {"filename", "{epoch}"}};
  FakeTrainer trainer;
  trainer.progress.max_epochs = 2;
  trainer.val_loss = {3, INFINITY};
  const auto first = make(config);
  trainer.add(*first);
  trainer.fit();
  EXPECT_EQ(first->state_key(),
            "ModelCheckpoint{'monitor': 'val_loss', 'mode': 'min', 'every_n_train_steps': 0, 'every_n_epochs': 1, "
            "'train_time_interval': None}");
  const Json state = parse_text(json_text(first->save_state()));
  EXPECT_EQ(state["best_model_path"], (folder_ / "epoch=0.ckpt").string());
  EXPECT_EQ(state["best_model_score"], 3.0);
  EXPECT_EQ(state["kth_value"], "inf");

  FakeTrainer resumed;
  resumed.progress = trainer.progress;
  resumed.table.progress = &resumed.progress;
  resumed.progress.max_epochs = 3;
  resumed.val_loss = {1};
  resumed.resumed_from = folder_ / "last.ckpt";
  const auto second = make(config);
  second->load_state(state);
  EXPECT_EQ(second->save_state(), first->save_state());
  resumed.add(*second);
  resumed.fit();
  EXPECT_THAT(listing(folder_), ElementsAre("epoch=0.ckpt", "epoch=2.ckpt", "last.ckpt"));
}

// Lightning's own operations, recorded: which file is saved and removed when.
TEST_F(ModelCheckpointTest, Recorded) {
  const std::string path = std::string(FATHOM_SOURCE_DIR) + "/../shared/golden/checkpoint_names/model_checkpoint.jsonl";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << path << " is not there";
  int cases = 0, skipped = 0;
  for (std::string line; std::getline(file, line);) {
    const Json c = parse_text(line);
    const Json& t = c["trainer"];
    // Several runs or callbacks need more than one trainer has.
    if (c.contains("runs") || c["params"].is_array()) {
      ++skipped;
      continue;
    }
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
    trainer.sanity_steps = t.value("num_sanity_val_steps", 0);
    p.check_val_every_n_epoch = t.value("check_val_every_n_epoch", 1);
    if (t.contains("val_check_interval")) {
      const Json& interval = t["val_check_interval"];
      p.val_check_interval = interval.get<double>();
      p.val_check_counts_batches = interval.is_number_integer() ? 1 : 0;
      trainer.validate_every = interval.is_number_integer()
                                   ? interval.get<int64_t>()
                                   : std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(p.training_batches) *
                                                                               p.val_check_interval));
    }
    p.has_validation = !c.value("no_val", false);
    if (c["val_loss"].is_array()) {
      for (const auto& v : c["val_loss"]) trainer.val_loss.push_back(options_detail::read<double>(v, "val_loss"));
    }
    if (c["train_x"].is_array()) trainer.train_x = c["train_x"].get<std::vector<double>>();
    trainer.val_name = c.value("val_name", "val_loss");
    if (c.contains("stop_at")) trainer.stop_epoch = c["stop_at"][0], trainer.stop_batch = c["stop_at"][1];

    const Json& expect = c["expect"][0];
    std::string error;
    std::unique_ptr<ModelCheckpoint> callback;
    try {
      callback = make(c["params"]);
      trainer.add(*callback);
      trainer.fit();
    } catch (const Error& problem) {
      error = problem.what();
    }
    EXPECT_EQ(error.empty(), expect["status"] == "ok") << error;
    EXPECT_THAT(listing(folder_), ElementsAreArray(expect["files"].get<std::vector<std::string>>()));
    std::vector<std::string> saved, wanted;
    for (const auto& name : trainer.saved) saved.push_back(fs::path(name).lexically_relative(folder_));
    for (const auto& entry : expect["log"]) {
      if (entry[0] == "save") wanted.push_back(entry[3]);
    }
    EXPECT_EQ(saved, wanted);
    if (!error.empty()) continue;
    const Json& recorded = expect["callbacks"][0];
    EXPECT_EQ(callback->state_key(), recorded["state_key"].get<std::string>());
    const Json state = callback->save_state();
    for (const char* key : {"best_model_path", "kth_best_model_path", "last_model_path"}) {
      const std::string name = state[key];
      EXPECT_EQ(name.empty() ? "" : fs::path(name).lexically_relative(folder_).string(),
                recorded["state_dict"][key].get<std::string>())
          << key;
    }
    for (const char* key : {"best_model_score", "current_score", "kth_value"}) {
      const Json& want = recorded["state_dict"][key];
      if (want.is_number())
        EXPECT_NEAR(state[key].get<double>(), want.get<double>(), 1e-6) << key;
      else
        EXPECT_EQ(state[key], want) << key;
    }
    EXPECT_EQ(state["best_k_models"].size(), recorded["state_dict"]["best_k_models"].size());
  }
  EXPECT_GT(cases, 100);
  EXPECT_LT(skipped, 20);
}

}  // namespace
}  // namespace fathom::callbacks
