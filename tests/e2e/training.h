// A training of seconds on real digits, as words of the command line, and what to look at afterwards.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "core/archive/inspect.h"
#include "core/archive/nemo_archive.h"
#include "core/archive/pickle_file.h"
#include "core/base/file.h"
#include "fathom/json.h"
#include "tests/e2e/process.h"

namespace fathom::e2e {

namespace fs = std::filesystem;

inline const std::string kDigits = FATHOM_SOURCE_DIR "/tests/data/digits";

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// One of the digits.
inline std::string any_clip() { return kDigits + "/flac/0_george_0.flac"; }

// "train" with an experiment of configs/asr, and whatever comes after.
inline std::vector<std::string> recipe(const std::string& name, const std::vector<std::string>& more) {
  std::vector<std::string> out = {fathom_program(), "train", "-cp", FATHOM_SOURCE_DIR "/configs/asr", "-cn", name};
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

// The .nemo of a QuartzNet after a few steps, which all tests of a suite share.
inline std::string small_quartznet() {
  static const std::string nemo = [] {
    const std::string folder = testing::TempDir() + "fathom_" +
                               testing::UnitTest::GetInstance()->current_test_info()->test_suite_name() + "_base";
    fs::remove_all(folder);
    const Result trained =
        run(recipe("digits_quartznet", {"data_dir=" + kDigits, "trainer.max_epochs=1",
                                        "++trainer.limit_train_batches=4", "++trainer.limit_val_batches=1",
                                        "++trainer.limit_test_batches=1", "++exp_manager.explicit_log_dir=" + folder}));
    EXPECT_EQ(trained.status, 0) << trained.err;
    return folder + "/checkpoints/digits_quartznet.nemo";
  }();
  return nemo;
}

// metrics.csv without its columns of timing, which differ from run to run; every other column must not.
inline std::string without_timing(const std::string& csv) {
  std::istringstream stream(csv);
  std::string line, out;
  std::vector<bool> keep;
  while (std::getline(stream, line)) {
    std::istringstream cells(line + ",");
    std::string cell, row;
    for (size_t i = 0; std::getline(cells, cell, ','); ++i) {
      if (out.empty()) keep.push_back(cell.find("timing") == std::string::npos);
      if (i < keep.size() && keep[i]) row += cell + ",";
    }
    out += row + "\n";
  }
  return out;
}

// A folder of its own for each test, removed before and after.
class TrainingTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = testing::TempDir() + "fathom_" + info->test_suite_name() + "_" + info->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override {
    if (!HasFailure()) fs::remove_all(folder_);
  }

  // 12 batches of 16 clips an epoch, 2 epochs, a validation of 2 batches each half epoch.
  std::vector<std::string> words(const std::string& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"data_dir=" + kDigits,
                                    "trainer.max_epochs=2",
                                    "++trainer.limit_train_batches=12",
                                    "++trainer.limit_val_batches=2",
                                    "++trainer.limit_test_batches=2",
                                    "++trainer.val_check_interval=0.5",
                                    "trainer.check_val_every_n_epoch=1",
                                    "++trainer.log_every_n_steps=1",
                                    "model.train_ds.batch_size=16"};
    all.insert(all.end(), more.begin(), more.end());
    return recipe_in(run, "digits_quartznet", all);
  }
  // An experiment of configs/asr that always gives the same bits, in a folder of the test's.
  std::vector<std::string> recipe_in(const std::string& run, const std::string& name,
                                     const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"++seed=3", "++exp_manager.explicit_log_dir=" + folder_ + "/" + run, "--threads",
                                    "1"};
    all.insert(all.end(), more.begin(), more.end());
    return recipe(name, all);
  }
  // The file in the run's folder of checkpoints that has this ending; "" and a failure unless there is exactly one.
  std::string file_of(const std::string& run, const std::string& ending) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_ + "/" + run + "/checkpoints")) {
      if (entry.path().string().ends_with(ending)) found.push_back(entry.path());
    }
    EXPECT_EQ(found.size(), 1u) << ending << " in " << run;
    return found.size() == 1 ? found[0] : "";
  }
  // The weights in the run's .nemo file, as bytes by name; with "-EMA.nemo" the averaged ones.
  std::map<std::string, std::string> final_weights(const std::string& run,
                                                   const std::string& ending = "quartznet.nemo") const {
    const std::string nemo = file_of(run, ending);
    std::map<std::string, std::string> weights;
    if (nemo.empty()) return weights;
    const auto archive = checkpoint::NemoArchive::open(nemo);
    const auto& member = archive.at(checkpoint::kNemoWeights);
    const auto state = checkpoint::read_pickle_bytes(member.bytes, member.owner, nemo);
    for (const auto& [name, value] : state.value.as_dict())
      weights[name.as_string()] = std::string(value.as_tensor().storage->bytes);
    EXPECT_FALSE(weights.empty());
    return weights;
  }
  std::string folder_;
};

}  // namespace fathom::e2e
