// A training of one folder of configs on bundled data, as words of the command line, and what to look at afterwards.
#pragma once

#include <cstdio>

#include "tests/e2e/training.h"

namespace fathom::e2e {

class RecipeTest : public TrainingTest {
 protected:
  RecipeTest(std::string configs, std::string data) : configs_(std::move(configs)), data_(std::move(data)) {}

  // An experiment that always gives the same bits, in a folder of the test's.
  std::vector<std::string> words_of(const std::string& run, const std::string& name,
                                    const std::vector<std::string>& more) const {
    std::vector<std::string> all = {fathom_program(),
                                    "train",
                                    "-cp",
                                    configs_,
                                    "-cn",
                                    name,
                                    "data_dir=" + data_,
                                    "++seed=3",
                                    "++exp_manager.explicit_log_dir=" + folder_ + "/" + run,
                                    "--threads",
                                    "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // The values of a column of metrics.csv, in order.
  std::vector<double> metric(const std::string& run, const std::string& name) const {
    std::istringstream stream(read_file(folder_ + "/" + run + "/metrics.csv"));
    std::string line, cell;
    std::vector<double> values;
    int64_t place = -1;
    while (std::getline(stream, line)) {
      std::istringstream cells(line);
      for (int64_t i = 0; std::getline(cells, cell, ','); ++i) {
        if (place < 0 && cell == name) place = i + (1 << 20);
        if (place == i && !cell.empty()) values.push_back(std::stod(cell));
      }
      if (place >= 1 << 20) place -= 1 << 20;
    }
    return values;
  }
  // Everything in the last checkpoint: weights, both optimizers, both schedules, random state.
  std::map<std::string, std::string> last_checkpoint(const std::string& run) const {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::directory_iterator(folder_ + "/" + run + "/checkpoints")) {
      if (!entry.path().string().ends_with("-last.ckpt")) continue;
      const auto file = checkpoint::read_pickle_file(entry.path());
      for (const char* part : {"state_dict", "optimizer_states", "lr_schedulers"})
        flatten(file.value.at(part), part, out);
    }
    EXPECT_FALSE(out.empty()) << run;
    return out;
  }

  // A run of `recipe` that is killed under way and started again ends with the bits of one that is not: weights, all
  // optimizers, all schedules.
  void expect_exact_resume(const std::string& recipe) const {
    const std::vector<std::string> words = {"trainer.max_epochs=3", "++trainer.check_val_every_n_epoch=1",
                                            "++trainer.ckpt_every=1s", "++exp_manager.resume_if_exists=true",
                                            "++exp_manager.resume_ignore_no_checkpoint=true"};
    const Result once = run(words_of(recipe + "_once", recipe, words));
    ASSERT_EQ(once.status, 0) << recipe << ": " << once.err;
    Process killed(words_of(recipe + "_twice", recipe, words));
    const std::string checkpoints = folder_ + "/" + recipe + "_twice/checkpoints";
    const bool under_way = killed.read([&](const Result&) {
      if (!fs::exists(checkpoints)) return false;
      return std::any_of(fs::directory_iterator(checkpoints), fs::directory_iterator(),
                         [](const auto& entry) { return entry.path().extension() == ".ckpt"; });
    });
    ASSERT_TRUE(under_way) << recipe << ": the run ended before it could be killed";
    killed.kill(SIGKILL);
    EXPECT_EQ(killed.wait().status, 128 + SIGKILL);
    const Result resumed = run(words_of(recipe + "_twice", recipe, words));
    ASSERT_EQ(resumed.status, 0) << recipe << ": " << resumed.err;
    EXPECT_EQ(last_checkpoint(recipe + "_once"), last_checkpoint(recipe + "_twice")) << recipe;
  }

 private:
  static void flatten(const checkpoint::PickleValue& value, const std::string& name,
                      std::map<std::string, std::string>& out) {
    using Kind = checkpoint::PickleValue::Kind;
    switch (value.kind()) {
      case Kind::kTensor: out[name] = std::string(value.as_tensor().storage->bytes); break;
      case Kind::kDict:
        for (const auto& [key, item] : value.as_dict())
          flatten(item, name + "." + (key.is_string() ? key.as_string() : std::to_string(key.as_int())), out);
        break;
      case Kind::kList:
      case Kind::kTuple:
        for (size_t i = 0; i < value.items().size(); ++i)
          flatten(value.items()[i], name + "." + std::to_string(i), out);
        break;
      case Kind::kFloat: {
        char exact[64];
        std::snprintf(exact, sizeof exact, "%a", value.as_double());
        out[name] = exact;
        break;
      }
      case Kind::kInt: out[name] = std::to_string(value.as_int()); break;
      default: break;
    }
  }

  const std::string configs_, data_;
};

}  // namespace fathom::e2e
