// Transducers, token-and-duration transducers and hybrids from nothing to their text: trained on the digits, killed and
// resumed, restored, transcribed, fine-tuned; the large recipes at a small size; and what is said of what does not fit.
#include <gmock/gmock.h>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

class Transducers : public TrainingTest {
 protected:
  std::vector<std::string> train_words(const std::string& run, const std::string& name,
                                       const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"data_dir=" + kDigits};
    all.insert(all.end(), more.begin(), more.end());
    return recipe_in(run, name, all);
  }
  static std::vector<std::string> short_run() {
    return {"trainer.max_epochs=1", "++trainer.limit_train_batches=3", "++trainer.limit_val_batches=1",
            "++trainer.limit_test_batches=1", "trainer.check_val_every_n_epoch=1"};
  }
  std::string nemo_of(const std::string& run, const std::string& name) const {
    return folder_ + "/" + run + "/checkpoints/" + name + ".nemo";
  }
  static Result transcribe(const std::string& nemo, const std::vector<std::string>& more = {},
                           const std::string& batch_size = "50") {
    std::vector<std::string> all = {"transcribe",   nemo,       "--manifest", kDigits + "/test.json",
                                    "--batch-size", batch_size, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return fathom(all);
  }
  static double error_rate(const Result& heard) { return nlohmann::json::parse(heard.out)["wer"].get<double>(); }
};

TEST_F(Transducers, LearnToReadDigits) {
  const Result trained =
      run(train_words("run", "digits_transducer", {"trainer.max_epochs=5", "trainer.check_val_every_n_epoch=5"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string nemo = nemo_of("run", "digits_transducer");
  const Result heard = transcribe(nemo);
  ASSERT_EQ(heard.status, 0) << heard.err;
  EXPECT_LT(error_rate(heard), 0.6) << "nothing learnt: about 1";
  // In any precision and in batches of any size.
  for (const char* precision : {"32", "bf16", "int8"}) {
    const Result again = transcribe(nemo, {"--precision", precision});
    if (again.status != 0 && contains(again.err, "this processor has no fast products")) continue;
    ASSERT_EQ(again.status, 0) << again.err;
    EXPECT_NEAR(error_rate(again), error_rate(heard), 0.02) << precision;
  }
  const Result alone = transcribe(nemo, {}, "1");
  ASSERT_EQ(alone.status, 0) << alone.err;
  EXPECT_EQ(nlohmann::json::parse(alone.out)["items"], nlohmann::json::parse(heard.out)["items"]);
  const Result clip = fathom({"transcribe", nemo, any_clip(), "--timestamps"});
  ASSERT_EQ(clip.status, 0) << clip.err;
  EXPECT_THAT(clip.out, HasSubstr("\"word\""));
}

// The same bits as one run: the loss's draws, dropout's masks and TDT's omega come from generators that checkpoints
// keep.
TEST_F(Transducers, GoOnAfterKill9) {
  for (const char* name : {"digits_transducer", "digits_tdt", "digits_hybrid"}) {
    const std::string tag = name;
    const std::vector<std::string> words = {"trainer.max_epochs=2",
                                            "++trainer.limit_train_batches=8",
                                            "++trainer.limit_val_batches=1",
                                            "++trainer.limit_test_batches=1",
                                            "trainer.check_val_every_n_epoch=1",
                                            "++trainer.ckpt_every=0.5",
                                            "++exp_manager.resume_if_exists=true",
                                            "++exp_manager.resume_ignore_no_checkpoint=true"};
    const Result once = run(train_words(tag + "_once", name, words));
    ASSERT_EQ(once.status, 0) << once.err;
    Process killed(train_words(tag + "_twice", name, words));
    const std::string checkpoints = folder_ + "/" + tag + "_twice/checkpoints";
    const bool under_way = killed.read([&](const Result&) {
      if (!fs::exists(checkpoints)) return false;
      return std::any_of(fs::directory_iterator(checkpoints), fs::directory_iterator(),
                         [](const auto& entry) { return entry.path().extension() == ".ckpt"; });
    });
    ASSERT_TRUE(under_way) << "the run ended before it could be killed";
    killed.kill(SIGKILL);
    EXPECT_EQ(killed.wait().status, 128 + SIGKILL);
    const Result resumed = run(train_words(tag + "_twice", name, words));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(final_weights(tag + "_once", tag + ".nemo"), final_weights(tag + "_twice", tag + ".nemo")) << name;
  }
}

TEST_F(Transducers, AHybridHasTwoDecoders) {
  ASSERT_EQ(run(train_words("run", "digits_hybrid", short_run())).status, 0);
  const std::string nemo = nemo_of("run", "digits_hybrid");
  for (const char* decoder : {"rnnt", "ctc"}) {
    const Result heard = transcribe(nemo, {"--decoder-type", decoder});
    EXPECT_EQ(heard.status, 0) << heard.err;
  }
  const Result none = transcribe(nemo, {"--decoder-type", "aed"});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("rnnt or ctc"));
}

// The last of each column of metrics.csv.
std::map<std::string, double> last_metrics(const std::string& csv) {
  std::istringstream stream(read_file(csv));
  std::string line, cell;
  std::vector<std::string> names;
  std::map<std::string, double> out;
  while (std::getline(stream, line)) {
    std::istringstream cells(line);
    for (size_t i = 0; std::getline(cells, cell, ','); ++i) {
      if (names.size() <= i)
        names.push_back(cell);
      else if (!cell.empty())
        out[names[i]] = std::stod(cell);
    }
  }
  return out;
}

TEST_F(Transducers, LayersWithinTheEncoderHaveLosses) {
  std::vector<std::string> words = short_run();
  words.insert(words.end(), {"+model.interctc={loss_weights: [0.3], apply_at_layers: [1]}",
                             "++trainer.log_every_n_steps=1", "++exp_manager.create_csv_logger=true"});
  const Result trained = run(train_words("run", "digits_hybrid", words));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const auto metrics = last_metrics(folder_ + "/run/metrics.csv");
  for (const char* stage : {"", "val_"}) {
    const std::string of = stage;
    const double whole = metrics.at(of.empty() ? "train_loss" : "val_loss");
    EXPECT_NEAR(whole, 0.7 * metrics.at(of + "final_loss") + 0.3 * metrics.at(of + "inter_ctc_loss_l1"), 1e-3 * whole);
    EXPECT_TRUE(metrics.count(of + "inter_wer_l1")) << of;
  }
  // What cannot be.
  words[words.size() - 3] = "+model.interctc={loss_weights: [0.3, 0.7], apply_at_layers: [0, 1]}";
  EXPECT_THAT(run(train_words("none", "digits_hybrid", words)).err, HasSubstr("interctc.loss_weights"));
  words[words.size() - 3] = "+model.interctc={loss_weights: [0.3], apply_at_layers: [3]}";
  EXPECT_THAT(run(train_words("none", "digits_hybrid", words)).err, HasSubstr("interctc.apply_at_layers"));
  EXPECT_THAT(run(train_words("none", "digits_transducer", words)).err, HasSubstr("interctc"));
}

TEST_F(Transducers, AreFineTunedWithOtherLabels) {
  ASSERT_EQ(run(train_words("base", "digits_hybrid", short_run())).status, 0);
  write_file_atomically(
      folder_ + "/finetune.yaml",
      "name: finetune\ninit_from_nemo_model: " + nemo_of("base", "digits_hybrid") +
          "\nmodel:\n  char_labels: {update_labels: true, labels: [\" \", a, e, f, g, h, i, n, o, r, s, t, u, v, w, x, "
          "z, "
          "y]}\n  train_ds: {manifest_filepath: " +
          kDigits + "/train.json, sample_rate: 8000, batch_size: 8}\n  optim: {name: sgd, lr: 0.0}\n" +
          "trainer: {max_steps: 1, limit_val_batches: 1, limit_test_batches: 1}\nexp_manager: {explicit_log_dir: " +
          folder_ + "/tuned}\n");
  const Result tuned = fathom({"train", "-cp", folder_, "-cn", "finetune"});
  ASSERT_EQ(tuned.status, 0) << tuned.err;
  const auto before = final_weights("base", "digits_hybrid.nemo"), after = final_weights("tuned", "finetune.nemo");
  EXPECT_EQ(after.at("encoder.pre_encode.out.weight"), before.at("encoder.pre_encode.out.weight"));
  EXPECT_EQ(after.at("joint.joint_net.2.bias").size(), 19 * sizeof(float));
  EXPECT_EQ(after.at("ctc_decoder.decoder_layers.0.bias").size(), 19 * sizeof(float));
  EXPECT_EQ(after.at("decoder.prediction.embed.weight").size(), 19 * 64 * sizeof(float));
}

// Every recipe of a large model, with two layers of little width, on a tokenizer of the digits.
TEST_F(Transducers, LargeRecipesTrain) {
  for (const std::string encoder : {"conformer", "fastconformer"}) {
    for (const std::string head : {"ctc", "transducer", "tdt", "hybrid", "streaming"}) {
      std::vector<std::string> words = {"model.train_ds.manifest_filepath=" + kDigits + "/train.json",
                                        "model.validation_ds.manifest_filepath=" + kDigits + "/validation.json",
                                        "model.tokenizer.dir=" FATHOM_SOURCE_DIR "/tests/data/tokenizers/digits",
                                        "model.sample_rate=8000",
                                        "model.preprocessor.n_fft=256",
                                        "model.encoder.n_layers=2",
                                        "model.encoder.d_model=32",
                                        "model.encoder.n_heads=2",
                                        "model.encoder.subsampling_conv_channels=8",
                                        "trainer=try_out"};
      if (head != "ctc")
        words.insert(words.end(), {"model.model_defaults.pred_hidden=16", "model.model_defaults.joint_hidden=16"});
      const std::string name = encoder + "_" + head;
      const Result trained = run(recipe_in(name, name, words));
      EXPECT_EQ(trained.status, 0) << name << ": " << trained.err;
    }
  }
}

TEST_F(Transducers, SayWhatDoesNotFit) {
  const auto refusal = [&](const std::string& name, const std::vector<std::string>& words) {
    std::vector<std::string> all = short_run();
    all.insert(all.end(), words.begin(), words.end());
    const Result result = run(train_words("refused", name, all));
    EXPECT_NE(result.status, 0) << words[0] << result.out;
    EXPECT_FALSE(fs::exists(folder_ + "/refused/checkpoints/" + name + ".nemo"));
    return result.err;
  };
  // Durations without 0, without 1, and another number than the joint network has outputs.
  EXPECT_THAT(refusal("digits_tdt", {"model.model_defaults.tdt_durations=[1,2,3,4,5]"}), HasSubstr("durations"));
  EXPECT_THAT(refusal("digits_tdt", {"model.model_defaults.tdt_durations=[0,2,3,4,5]"}), HasSubstr("durations"));
  EXPECT_THAT(refusal("digits_tdt", {"model.joint.num_extra_outputs=4"}),
              AllOf(HasSubstr("num_extra_outputs"), HasSubstr("5 durations")));
  EXPECT_THAT(refusal("digits_transducer", {"model.model_defaults.enc_hidden=95"}),
              AllOf(HasSubstr("enc_hidden"), HasSubstr("96")));
  EXPECT_THAT(refusal("digits_transducer", {"model.loss.loss_name=rnt"}), HasSubstr("rnnt"));
  EXPECT_THAT(refusal("digits_hybrid", {"model.aux_ctc.ctc_loss_weight=1.5"}), HasSubstr("ctc_loss_weight"));
  EXPECT_THAT(refusal("digits_hybrid", {"model.aux_ctc=null"}), HasSubstr("aux_ctc"));
  EXPECT_THAT(refusal("digits_transducer",
                      {"++model.encoder.att_context_style=chunked_limited", "model.encoder.att_context_size=[7,2]"}),
              HasSubstr("att_context_size"));
  EXPECT_THAT(refusal("digits_transducer", {"model.decoding.strategy=beam"}), HasSubstr("greedy_batch"));
}

}  // namespace
}  // namespace fathom::e2e
