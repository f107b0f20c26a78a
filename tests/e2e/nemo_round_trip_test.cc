// What we save, NeMo restores with equal outputs, and what NeMo then saves, we restore with equal outputs: a model of
// each class. Skipped where FATHOM_PYTHON (default python3) has no NeMo.
#include "tests/e2e/training.h"
#include "tests/support/python_check.h"

namespace fathom::e2e {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kNoNemo = " has no NeMo; set FATHOM_PYTHON to one that has";
const Words kClips = {kDigits + "/flac/0_george_0.flac", kDigits + "/flac/7_theo_3.flac",
                      kDigits + "/flac/3_jackson_1.flac"};

class NemoRoundTrip : public TrainingTest {
 protected:
  // A few steps of training leave the model NAME.
  void train(const std::string& name, const std::string& experiment, const Words& more) {
    Words all = {fathom_program(),
                 "train",
                 "-cp",
                 FATHOM_SOURCE_DIR "/configs/asr",
                 "-cn",
                 experiment,
                 "name=" + name,
                 "model.train_ds.batch_size=8",
                 "trainer.max_epochs=1",
                 "++trainer.limit_train_batches=3",
                 "++trainer.limit_val_batches=1",
                 "++trainer.limit_test_batches=1",
                 "++seed=3",
                 "++exp_manager.explicit_log_dir=" + folder_ + "/" + name,
                 "--threads",
                 "1"};
    all.insert(all.end(), more.begin(), more.end());
    const Result trained = run(all);
    ASSERT_EQ(trained.status, 0) << name << ": " << trained.err;
    models_.push_back(folder_ + "/" + name + "/checkpoints/" + name + ".nemo");
  }
  void train_on_subwords(const std::string& name, const Words& more = {}) {
    Words words = {"data_dir=" + kDigits, "tokenizer_dir=" FATHOM_SOURCE_DIR "/tests/data/tokenizers/digits"};
    words.insert(words.end(), more.begin(), more.end());
    train(name, "digits_citrinet", words);
  }
  void train_conformer(const std::string& name, const Words& more) {
    Words words = {"~model.encoder.jasper",     "~model.encoder.activation",
                   "~model.encoder.conv_mask",  "model.encoder._target_=nemo.collections.asr.modules.ConformerEncoder",
                   "+model.encoder.n_layers=2", "+model.encoder.d_model=32",
                   "+model.encoder.n_heads=4",  "+model.encoder.conv_kernel_size=9"};
    words.insert(words.end(), more.begin(), more.end());
    train_on_subwords(name, words);
  }
  void train_classifier(const std::string& name, const std::string& manifest, const Words& more) {
    Words words = {"model.sample_rate=8000", "model.train_ds.manifest_filepath=" + manifest,
                   "model.validation_ds.manifest_filepath=" + manifest, "model.train_ds.num_workers=0",
                   "model.validation_ds.num_workers=0"};
    words.insert(words.end(), more.begin(), more.end());
    train(name, "matchboxnet_3x1x64", words);
  }
  // Of two labels: one speaker's clips and the others'.
  std::string two_labels() const {
    std::istringstream lines(read_file(kDigits + "/train.json"));
    std::string out;
    for (std::string line; std::getline(lines, line);) {
      const Json item = parse_text(line);
      const auto clip = item["audio_filepath"].get<std::string>();
      const Json entry = {{"audio_filepath", kDigits + "/" + clip},
                          {"duration", item["duration"]},
                          {"label", clip.find("theo") != std::string::npos ? "speech" : "background"}};
      out += json_text(entry) + "\n";
    }
    write_file_atomically(folder_ + "/two.json", out);
    return folder_ + "/two.json";
  }
  Result conformance(const std::string& folder) const {
    return run({FATHOM_BINARY_DIR "/bin/fathom-conformance", "nemo_models/models", folder});
  }
  // The model NAME again, as if that version of NeMo had written it.
  std::string with_version(const std::string& name, const std::string& version) const {
    const auto archive = checkpoint::NemoArchive::open(models_.at(0));
    std::vector<checkpoint::NemoMember> members;
    for (const auto& member : archive.members()) {
      std::string bytes(member.bytes);
      if (member.name == checkpoint::kNemoConfig) {
        const size_t at = bytes.find("nemo_version: ");
        EXPECT_NE(at, std::string::npos) << bytes;
        bytes.replace(at, bytes.find('\n', at) - at, "nemo_version: " + version);
      }
      members.push_back(checkpoint::NemoMember::of_text(member.name, bytes));
    }
    const std::string path = folder_ + "/" + name + ".nemo";
    checkpoint::write_nemo_archive(path, members);
    return path;
  }
  // What a model makes of the validation clips.
  Json metrics(const std::string& nemo) const {
    const Result result =
        fathom({"validate", "-cp", FATHOM_SOURCE_DIR "/configs/asr", "-cn", "digits_quartznet", "data_dir=" + kDigits,
                "++trainer.limit_val_batches=1", "--json-summary", "-", "model_path=" + nemo});
    EXPECT_EQ(result.status, 0) << result.err;
    return result.status == 0 ? parse_text(result.out)["metrics"] : Json();
  }
  bool has_nemo() const { return python_has(folder_ + "/python", "nemo.collections.asr"); }
  // What NeMo makes of the models, in folders below `out`.
  Result nemo_records(const std::string& out) const {
    Words words = {python_program(), "-W", "ignore", FATHOM_SOURCE_DIR "/tests/e2e/nemo_record.py", out};
    words.insert(words.end(), kClips.begin(), kClips.end());
    words.push_back("--");
    words.insert(words.end(), models_.begin(), models_.end());
    return run(words);
  }
  Words models_;
};

TEST_F(NemoRoundTrip, EveryClass) {
  if (!has_nemo()) GTEST_SKIP() << python_program() << kNoNemo;
  train("quartznet", "digits_quartznet", {"data_dir=" + kDigits});
  train_on_subwords("citrinet");
  train_conformer("conformer", {"+model.encoder.self_attention_model=rel_pos"});
  train_conformer("fast_conformer", {"+model.encoder.subsampling=dw_striding", "+model.encoder.subsampling_factor=8",
                                     "+model.encoder.subsampling_conv_channels=16"});
  train_classifier(
      "matchboxnet", kDigits + "/train.json",
      {"model.train_ds.label_key=text", "model.labels=[zero,one,two,three,four,five,six,seven,eight,nine]"});
  train_classifier("marblenet", two_labels(), {"model.repeat=2", "model.labels=[background,speech]"});
  for (const char* kind : {"transducer", "tdt", "hybrid"})
    train(kind, std::string("digits_") + kind, {"data_dir=" + kDigits, "++trainer.limit_train_batches=40"});
  if (HasFatalFailure()) return;

  const std::string out = folder_ + "/recorded";
  const Result recorded = nemo_records(out);
  ASSERT_EQ(recorded.status, 0) << recorded.err;
  const Result compared = conformance(out);
  EXPECT_EQ(compared.status, 0) << compared.out << compared.err;
  EXPECT_NE(compared.out.find("18 passed, 0 failed"), std::string::npos) << compared.out;
}

// The conventions of a version before 2.5 hold here, and stay with the file on its way through both programs. (NeMo 3
// itself computes by its own, whatever the file says.)
TEST_F(NemoRoundTrip, AModelOfAnOlderVersion) {
  if (!has_nemo()) GTEST_SKIP() << python_program() << kNoNemo;
  train("quartznet", "digits_quartznet", {"data_dir=" + kDigits});
  if (HasFatalFailure()) return;
  write_file_atomically(folder_ + "/tune.yaml", "name: tuned\ninit_from_nemo_model: " + with_version("old", "1.23.0") +
                                                    "\nmodel:\n  train_ds: {manifest_filepath: " + kDigits +
                                                    "/train.json, sample_rate: 8000, batch_size: 8}\n"
                                                    "  optim: {name: sgd, lr: 0.01}\n"
                                                    "trainer: {max_steps: 2}\nexp_manager: {explicit_log_dir: " +
                                                    folder_ + "/tuned}\n");
  const Result tuned = fathom({"train", "-cp", folder_, "-cn", "tune"});
  ASSERT_EQ(tuned.status, 0) << tuned.err;
  models_ = {folder_ + "/tuned/checkpoints/tuned.nemo"};
  const std::string out = folder_ + "/recorded";
  const Result recorded = nemo_records(out);
  ASSERT_EQ(recorded.status, 0) << recorded.err;

  const std::string again = out + "/tuned_again/model.nemo";
  EXPECT_NE(checkpoint::NemoArchive::open(again).config_text().find("nemo_version: 1.23.0"), std::string::npos);
  const Json ours = metrics(models_[0]);
  EXPECT_EQ(metrics(again), ours);
  models_.push_back(with_version("new", "3.0.0"));
  EXPECT_NE(metrics(models_[1]), ours) << "the older front-end counts";
}

// FATHOM_SEED draws others.
TEST_F(NemoRoundTrip, ModelsDrawnAtRandom) {
  if (!has_nemo()) GTEST_SKIP() << python_program() << kNoNemo;
  const char* seed = std::getenv("FATHOM_SEED");
  const std::string out = folder_ + "/cases";
  const Result drawn = run({python_program(), "-W", "ignore", FATHOM_SOURCE_DIR "/tests/e2e/fresh_nemo_cases.py",
                            seed != nullptr && *seed != '\0' ? seed : "1", out, "12"});
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  const Result compared = conformance(out);
  EXPECT_EQ(compared.status, 0) << compared.out << compared.err;
  EXPECT_NE(compared.out.find("12 passed, 0 failed"), std::string::npos) << compared.out;
}

// FastPitch of every kind, as NeMo computes it; and a file of ours, restored and saved again by NeMo.
TEST_F(NemoRoundTrip, FastPitchDrawnAtRandom) {
  if (!has_nemo()) GTEST_SKIP() << python_program() << kNoNemo;
  const char* given = std::getenv("FATHOM_SEED");
  const std::string seed = given != nullptr && *given != '\0' ? given : "1", out = folder_ + "/cases";
  const std::string clips = FATHOM_SOURCE_DIR "/tests/data/ljspeech_mini";
  const Result trained = fathom({"train", "-cp", FATHOM_SOURCE_DIR "/configs/tts", "-cn", "ljspeech_mini_fastpitch",
                                 "data_dir=" + clips, "++exp_manager.explicit_log_dir=" + folder_ + "/fastpitch",
                                 "trainer.max_epochs=1", "++model.min_token_duration=1",
                                 // nemo_text_processing is a package of its own, which NeMo would need.
                                 "~model.text_normalizer"});
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string script = FATHOM_SOURCE_DIR "/tests/e2e/fresh_fastpitch_cases.py";
  for (const std::string& last : {std::string("12"), folder_ + "/fastpitch/checkpoints/ljspeech_mini_fastpitch.nemo"}) {
    const Result drawn = run({python_program(), "-W", "ignore", script, seed, out, last});
    ASSERT_EQ(drawn.status, 0) << drawn.err;
  }
  const Result compared = conformance(out);
  EXPECT_EQ(compared.status, 0) << compared.out << compared.err;
  EXPECT_NE(compared.out.find("14 passed, 0 failed"), std::string::npos) << compared.out;
}

}  // namespace
}  // namespace fathom::e2e
