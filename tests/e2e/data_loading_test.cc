#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class DataLoading : public TrainingTest {
 protected:
  // Whole epochs over the first `clips` training digits, of which every 40th may have another file; batches of 6 s.
  std::vector<std::string> filled(const std::string& run, const std::string& manifest,
                                  const std::vector<std::string>& more) const {
    auto out = words(run, {"model.train_ds.manifest_filepath=" + manifest, "model.train_ds.batch_size=null",
                           "+model.train_ds.max_seconds=6", "~trainer.limit_train_batches", "~model.test_ds",
                           "++trainer.num_sanity_val_steps=0", "++trainer.val_check_interval=1.0",
                           "model.optim.sched.warmup_steps=2", "++seed=5", "--json-summary", summary(run)});
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  std::string summary(const std::string& run) const { return folder_ + "/" + run + ".summary.json"; }
  int64_t steps_of(const std::string& run) const {
    return nlohmann::json::parse(read_file(summary(run)))["global_step"].get<int64_t>();
  }
  std::string manifest(const std::string& name, int64_t clips, const std::string& every_40th = "") const {
    std::istringstream lines(read_file(kDigits + "/train.json"));
    std::string out, line;
    for (int64_t i = 0; i < clips && std::getline(lines, line); ++i) {
      auto item = nlohmann::json::parse(line);
      const bool other = i % 40 == 20 && !every_40th.empty();
      item["audio_filepath"] = other ? every_40th : kDigits + "/" + item["audio_filepath"].get<std::string>();
      out += json_text(item) + "\n";
    }
    write_file_atomically(folder_ + "/" + name, out);
    return folder_ + "/" + name;
  }
  void expect(const Result& result, int status, const std::vector<std::string>& parts) const {
    EXPECT_EQ(result.status, status) << result.err;
    for (const auto& part : parts)
      EXPECT_NE(result.err.find(part), std::string::npos) << "'" << part << "' is not in:\n" << result.err;
  }
};

TEST_F(DataLoading, BatchesFilledToSecondsAreAsManyInEveryEpochAndTheScheduleKnows) {
  const std::string clips = manifest("clips.json", 160);
  ASSERT_EQ(run(filled("one", clips, {"trainer.max_epochs=1"})).status, 0);
  const Result three = run(filled("three", clips, {"trainer.max_epochs=3"}));
  ASSERT_EQ(three.status, 0) << three.err;
  EXPECT_GT(steps_of("one"), 10) << "160 clips of half a second, 6 seconds a batch";
  EXPECT_LT(steps_of("one"), 25);
  EXPECT_EQ(steps_of("three"), 3 * steps_of("one"));
  // A cosine over as many steps as there are ends at its minimum.
  const std::string rows = read_file(folder_ + "/three/metrics.csv");
  std::istringstream lines(rows);
  std::string line, header;
  std::getline(lines, header);
  std::istringstream names(header);
  size_t column = 0;
  for (std::string name; std::getline(names, name, ',') && name != "learning_rate";) ++column;
  double last = 0;
  while (std::getline(lines, line)) {
    std::istringstream cells(line);
    std::string cell;
    for (size_t i = 0; i <= column && std::getline(cells, cell, ','); ++i) {
      if (i == column && !cell.empty()) last = std::stod(cell);
    }
  }
  EXPECT_GT(last, 0) << rows;
  EXPECT_LT(last, 0.001) << "of 0.02 at the start\n" << rows;

  auto by_tokens = filled("tokens", clips,
                          {"trainer.max_epochs=1", "model.train_ds.max_seconds=null", "+model.train_ds.max_tokens=60"});
  ASSERT_EQ(run(by_tokens).status, 0);
  EXPECT_GT(steps_of("tokens"), 8) << "160 words of three to five letters, 60 letters a batch";
  EXPECT_LT(steps_of("tokens"), 20);

  auto half = filled("half", clips, {"trainer.max_epochs=2", "++trainer.limit_train_batches=5"});
  ASSERT_EQ(run(half).status, 0);
  EXPECT_EQ(steps_of("half"), 10);
}

TEST_F(DataLoading, ARunThatStoppedAtABrokenClipGoesOnWithoutItInMidEpoch) {
  const std::string clips = manifest("clips.json", 160, folder_ + "/gone.wav");
  const std::vector<std::string> saving = {"++exp_manager.checkpoint_callback_params.every_n_train_steps=1",
                                           "++exp_manager.checkpoint_callback_params.every_n_epochs=null",
                                           "++exp_manager.resume_if_exists=true",
                                           "++exp_manager.resume_ignore_no_checkpoint=true"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), saving.begin(), saving.end());
    return more;
  };
  const Result whole = run(filled("whole", clips, with({"+model.train_ds.on_error=skip"})));
  expect(whole, 0,
         {"item 20 is left out", "gone.wav", "clips.json:21", "4 items were left out of epoch 0",
          "4 items were left out of epoch 1"});

  expect(run(filled("cut", clips, saving)), 66, {"gone.wav", "clips.json:", "of model.train_ds"});
  ASSERT_TRUE(fs::exists(folder_ + "/cut/checkpoints")) << "the first batch held a broken clip: choose another seed";
  // The rest of an epoch of other batches would be other data.
  auto other = filled("cut", clips, with({"+model.train_ds.on_error=skip", "model.train_ds.max_seconds=7"}));
  expect(run(other), 1, {"batching differs", "max_seconds=7.0", "max_seconds=6.0"});

  const Result resumed = run(filled("cut", clips, with({"+model.train_ds.on_error=skip"})));
  expect(resumed, 0, {"resumed from", "left out of epoch 0 (from batch", "4 items were left out of epoch 1"});
  const auto expected = final_weights("whole"), found = final_weights("cut");
  ASSERT_EQ(expected.size(), found.size());
  for (const auto& [name, bytes] : expected) EXPECT_TRUE(found.at(name) == bytes) << name << " differs";
  EXPECT_EQ(without_timing(read_file(folder_ + "/whole/metrics.csv")),
            without_timing(read_file(folder_ + "/cut/metrics.csv")));
}

TEST_F(DataLoading, RefusesWhatContradictsItself) {
  const std::string clips = manifest("clips.json", 20);
  const std::string whole = "model.train_ds.max_seconds=";
  expect(run(words("run", {"+" + whole + "6"})), 1,
         {"max_seconds and batch_size contradict", "model.train_ds.batch_size"});
  expect(
      run(filled("run", clips, {"++" + whole + "0.4"})), 1,
      {"an item is longer than a batch may be", "item 0 of model.train_ds with 0.74475 seconds", "on_too_long=skip"});
  expect(run(filled("run", clips, {"+model.train_ds.on_error=ignore"})), 1,
         {"model.train_ds.on_error", "error or skip"});
  EXPECT_FALSE(fs::exists(folder_ + "/run")) << "nothing is written before all this is known";
  expect(run(filled("run", clips, {"++" + whole + "0.5", "+model.train_ds.on_too_long=skip", "trainer.max_epochs=1"})),
         0, {"of 20 items are longer than max_seconds=0.5"});
}

}  // namespace
}  // namespace fathom::e2e
