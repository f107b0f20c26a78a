// What stands around an optimizer: averaged weights, scaled gradients, steps that are left out.
#include <sstream>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class Averaging : public TrainingTest {
 protected:
  // One column of metrics.csv, without its empty cells.
  std::vector<double> column(const std::string& run, const std::string& name) const {
    std::istringstream lines(read_file(folder_ + "/" + run + "/metrics.csv"));
    std::string line, cell;
    std::vector<double> values;
    size_t at = std::string::npos;
    while (std::getline(lines, line)) {
      std::istringstream cells(line);
      for (size_t i = 0; std::getline(cells, cell, ','); ++i) {
        if (cell == name) at = i;
        if (i == at && cell != name && !cell.empty()) values.push_back(std::stod(cell));
      }
    }
    return values;
  }
};

class Scaling : public Averaging {
 protected:
  // A run of one batch without a schedule.
  std::map<std::string, std::string> after_one_batch(const char* name, const std::vector<std::string>& optimizer,
                                                     const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"~model.optim.sched", "++trainer.limit_train_batches=1",
                                    "++trainer.val_check_interval=1.0", "trainer.max_epochs=1"};
    all.insert(all.end(), optimizer.begin(), optimizer.end());
    all.insert(all.end(), more.begin(), more.end());
    const Result result = run(words(name, all));
    EXPECT_EQ(result.status, 0) << result.err;
    return final_weights(name);
  }
};

TEST_F(Averaging, ValidatesTheAveragedWeightsAndSavesThemBesideTheOthers) {
  const Result trained = run(words("run", {"--json-summary", folder_ + "/summary.json", "++exp_manager.ema.enable=true",
                                           "++exp_manager.ema.decay=0.8"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const auto summary = nlohmann::json::parse(read_file(folder_ + "/summary.json"));
  EXPECT_EQ(summary["nemo"], file_of("run", "quartznet.nemo")) << "the weights, not their average, are the model";

  // The twin's weights are what the last validation and the test looked at.
  const auto words_of = [&](const char* verb, const std::string& weights) {
    std::vector<std::string> out = words("unused", {weights});
    out[1] = verb;
    return out;
  };
  const auto loss = [&](const char* verb, const std::string& weights, const std::string& more = {}) {
    auto line = words_of(verb, weights);
    if (!more.empty()) line.push_back(more);
    const Result evaluated = run(line);
    EXPECT_EQ(evaluated.status, 0) << evaluated.err;
    const char* name = verb == std::string("test") ? "test_loss" : "val_loss";
    return nlohmann::json::parse(evaluated.out)[name].get<double>();
  };
  const double of_average = loss("validate", "+ckpt_path='" + file_of("run", "-last-EMA.ckpt") + "'");
  const double of_weights = loss("validate", "+ckpt_path='" + file_of("run", "-last.ckpt") + "'");
  EXPECT_NE(of_average, of_weights);
  EXPECT_EQ(loss("validate", "model_path='" + file_of("run", "-EMA.nemo") + "'",
                 "ckpt_path='" + file_of("run", "-last.ckpt") + "'"),
            of_weights)
      << "a checkpoint's weights go into the model of the .nemo";
  EXPECT_NEAR(column("run", "val_loss").back(), of_average, 1e-5);
  EXPECT_NEAR(summary["metrics"]["test_loss"].get<double>(),
              loss("test", "+model_path='" + file_of("run", "-EMA.nemo") + "'"), 1e-5);

  // Weights and averages differ, the same run without averages has the same weights.
  ASSERT_EQ(run(words("plain")).status, 0);
  EXPECT_TRUE(final_weights("run") == final_weights("plain")) << "averaging must not change training";
  EXPECT_FALSE(final_weights("run", "-EMA.nemo") == final_weights("plain"));
}

TEST_F(Averaging, AFileOfAveragesStartsANewAverage) {
  const std::vector<std::string> averaging = {"trainer.max_epochs=1", "++exp_manager.ema.enable=true"};
  ASSERT_EQ(run(words("run", averaging)).status, 0);
  const std::string twin = file_of("run", "-last-EMA.ckpt");
  // Resumed at its end nothing is left to train: the new weights are the averages, and so is the new average.
  const Result resumed = run(words("again", {averaging[0], averaging[1], "+ckpt_path='" + twin + "'"}));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("a new average starts"), std::string::npos) << resumed.err;
  EXPECT_TRUE(final_weights("again") == final_weights("run", "-EMA.nemo"));
  EXPECT_TRUE(final_weights("again", "-EMA.nemo") == final_weights("run", "-EMA.nemo"));
}

TEST_F(Averaging, BadOptionsAreToldByTheirKey) {
  const struct {
    const char *word, *key, *says;
  } cases[] = {{"++exp_manager.ema.decay=2", "at: exp_manager.ema.decay", "between 0 and 1"},
               {"++exp_manager.ema.every_n_steps=0", "at: exp_manager.ema.every_n_steps", "1 or more"},
               {"++exp_manager.ema.decy=0.9", "at: exp_manager.ema.decy", "did you mean: decay"},
               {"++model.optim={lr: null, args: {name: auto}}", "at: model.optim", "'lr' is mandatory"},
               {"++model.optim.args={name: nothing}", "at: model.optim.args", "novograd_params"},
               {"++model.skip_nan_grad=maybe", "at: model.skip_nan_grad", "true or false"},
               {"+trainer.plugins=[{_target_: lightning.pytorch.plugins.MixedPrecision, precision: 16-mixed, scaler: "
                "{growth_factor: 1}}]",
                "at: trainer.plugins[0].scaler.growth_factor", "above 1"},
               {"+trainer.plugins=[{_target_: lightning.pytorch.plugins.FSDPPrecision}]", "at: trainer.plugins[0]",
                "MixedPrecision"}};
  for (const auto& bad : cases) {
    const Result result = run(words("run", {"++exp_manager.ema.enable=true", bad.word}));
    EXPECT_NE(result.status, 0) << bad.word;
    EXPECT_NE(result.err.find(bad.key), std::string::npos) << bad.word << "\n" << result.err;
    EXPECT_NE(result.err.find(bad.says), std::string::npos) << bad.word << "\n" << result.err;
    EXPECT_FALSE(fs::exists(folder_ + "/run")) << bad.word << ": a refused run leaves nothing behind";
  }
}

// A scale far above what float16 holds: steps are skipped and the scale halves until gradients are finite.
TEST_F(Scaling, Float16FindsItsScaleAndGoesOnFromItAfterAResume) {
  const std::vector<std::string> half = {
      "+trainer.plugins=[{_target_: lightning.pytorch.plugins.MixedPrecision, precision: 16-mixed, device: cpu, "
      "scaler: "
      "{growth_interval: 5}}]",
      "++trainer.limit_train_batches=10", "++trainer.val_check_interval=1.0", "model.train_ds.batch_size=4"};
  std::vector<std::string> one = half, two = half;
  one.push_back("trainer.max_epochs=1");
  ASSERT_EQ(run(words("one", one)).status, 0);
  const auto scales = column("one", "loss_scale"), skipped = column("one", "skipped_steps");
  ASSERT_EQ(scales.size(), 10u);
  EXPECT_EQ(scales[0], 65536);
  ASSERT_GE(skipped.back(), 1);
  ASSERT_LT(skipped.back(), 10) << "some step must have been taken";
  int finite = 0;
  for (size_t i = 0; i + 1 < scales.size(); ++i) {
    const bool left_out = skipped[i] > (i > 0 ? skipped[i - 1] : 0);
    finite = left_out ? 0 : finite + 1;
    const bool grows = finite == 5;
    if (grows) finite = 0;
    EXPECT_EQ(scales[i + 1], scales[i] * (left_out ? 0.5 : grows ? 2 : 1)) << "step " << i;
  }

  ASSERT_EQ(run(words("whole", two)).status, 0);
  two.push_back("+ckpt_path='" + file_of("one", "-last.ckpt") + "'");
  const Result resumed = run(words("resumed", two));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(column("resumed", "loss_scale").front(), column("whole", "loss_scale")[10]);
  EXPECT_TRUE(final_weights("resumed") == final_weights("whole"));
}

TEST_F(Scaling, AShortAccumulationWindowCountsByItsOwnLengthUnlessLightningsRuleIsAsked) {
  const std::vector<std::string> sgd = {"model.optim.name=sgd", "~model.optim.betas"};
  const auto one = after_one_batch("one", sgd);
  EXPECT_TRUE(after_one_batch("short", sgd, {"++trainer.accumulate_grad_batches=4"}) == one);
  EXPECT_FALSE(after_one_batch("lightning", sgd,
                               {"++trainer.accumulate_grad_batches=4", "++trainer.scale_partial_accumulation=false"}) ==
               one);
}

TEST_F(Scaling, BiasesAndNormsGoWithoutDecayOnRequest) {
  // The step itself is at most 1e-6; the decay takes lr * weight_decay = one half.
  const std::vector<std::string> adamw = {"model.optim.name=adamw", "model.optim.lr=1e-6",
                                          "model.optim.weight_decay=5e5"};
  const auto norms_of = [&](const char* name, const std::vector<std::string>& more) {
    std::map<std::string, float> first;
    for (const auto& [key, bytes] : after_one_batch(name, adamw, more)) {
      if (bytes.size() >= sizeof(float)) first[key] = *reinterpret_cast<const float*>(bytes.data());
    }
    return first;
  };
  const std::string norm = "encoder.encoder.0.mconv.2.weight";
  const auto all = norms_of("all", {});
  ASSERT_TRUE(all.contains(norm)) << all.begin()->first;
  EXPECT_NEAR(all.at(norm), 0.5, 1e-3) << "a norm's weight starts at 1";
  const auto some = norms_of("some", {"+model.optim.no_decay=[bias, norm]"});
  EXPECT_NEAR(some.at(norm), 1, 1e-3);
  for (const auto& [key, value] : all) {
    if (!key.ends_with("conv.weight")) continue;
    EXPECT_EQ(some.at(key), value) << key;
  }
}

TEST_F(Scaling, StateOfAnotherOptimizerIsRefusedWithFileParameterAndShapes) {
  ASSERT_EQ(run(words("run", {"trainer.max_epochs=1"})).status, 0);
  const std::string checkpoint = file_of("run", "-last.ckpt");
  const Result adam = run(words("adam", {"+ckpt_path='" + checkpoint + "'", "model.optim.name=adam"}));
  EXPECT_EQ(adam.status, 65) << adam.err;
  for (const std::string& part : {std::string("exp_avg_sq"), std::string("mconv.0.conv.weight"), checkpoint,
                                  std::string("seen: shape []"), std::string("init_from_ptl_ckpt")})
    EXPECT_NE(adam.err.find(part), std::string::npos) << part << " not in\n" << adam.err;
  const Result sgd =
      run(words("sgd", {"+ckpt_path='" + checkpoint + "'", "model.optim.name=sgd", "~model.optim.betas"}));
  EXPECT_EQ(sgd.status, 65) << sgd.err;
  EXPECT_NE(sgd.err.find("momentum_buffer"), std::string::npos) << "the names it does keep\n" << sgd.err;
}

TEST_F(Scaling, StepsWithNonFiniteGradientsAreLeftOutOnRequest) {
  // One step of this size and every gradient after it is infinite or none.
  const std::vector<std::string> wild = {"trainer.max_epochs=1", "++model.optim.lr=1e30", "~model.optim.sched",
                                         "++model.skip_nan_grad=true"};
  const Result kept = run(words("kept", wild));
  ASSERT_EQ(kept.status, 0) << kept.err;
  EXPECT_EQ(column("kept", "skipped_steps").back(), 11);
  EXPECT_NE(kept.err.find("(11 so far)"), std::string::npos) << kept.err;
  const Result tame = run(words("tame", {"trainer.max_epochs=1", "++model.skip_nan_grad=true"}));
  ASSERT_EQ(tame.status, 0) << tame.err;
  EXPECT_EQ(column("tame", "skipped_steps").back(), 0);
  ASSERT_EQ(run(words("plain", {"trainer.max_epochs=1"})).status, 0);
  EXPECT_TRUE(final_weights("tame") == final_weights("plain"));
}

}  // namespace
}  // namespace fathom::e2e
