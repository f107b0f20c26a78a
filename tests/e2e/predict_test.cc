// fathom predict: a model's predict data through its predict step, by the trainer.
#include <gmock/gmock.h>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

class Predict : public TrainingTest {
 protected:
  void SetUp() override {
    TrainingTest::SetUp();
    const Result trained = run(words("run", {"trainer.max_epochs=1", "++trainer.limit_train_batches=2",
                                             "++trainer.limit_val_batches=1", "~model.test_ds"}));
    ASSERT_EQ(trained.status, 0) << trained.err;
    nemo_ = file_of("run", "quartznet.nemo");
  }
  Result predict(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {fathom_program(),
                                    "predict",
                                    "-cp",
                                    FATHOM_SOURCE_DIR "/configs/asr",
                                    "-cn",
                                    "digits_quartznet",
                                    "data_dir=" + kDigits,
                                    "--threads",
                                    "1",
                                    "+model_path=" + nemo_};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }
  const std::string data_ = "+model.predict_ds={manifest_filepath: '" + kDigits + "/test.json', batch_size: 8}";
  std::string nemo_;
};

TEST_F(Predict, GivesWhatTranscribeGives) {
  const Result transcribed =
      run({fathom_program(), "transcribe", nemo_, "--manifest", kDigits + "/test.json", "--batch-size", "8"});
  ASSERT_EQ(transcribed.status, 0) << transcribed.err;
  const Result predicted = predict({data_});
  ASSERT_EQ(predicted.status, 0) << predicted.err;
  EXPECT_FALSE(predicted.out.empty());
  EXPECT_EQ(predicted.out, transcribed.out);
}

TEST_F(Predict, LimitsOptionsFilesAndWriters) {
  const std::string file = folder_ + "/out.jsonl", dir = folder_ + "/written";
  const Result predicted =
      predict({data_, "++trainer.limit_predict_batches=2", "+predict_options={timestamps: true}", "--output", file,
               "+trainer.callbacks=[{_target_: PredictionWriter, output_dir: '" + dir + "', write_interval: epoch}]"});
  ASSERT_EQ(predicted.status, 0) << predicted.err;
  EXPECT_EQ(predicted.out, "");
  const std::string lines = read_file(file);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 16);
  EXPECT_THAT(lines, HasSubstr("\"timestamps\""));
  EXPECT_EQ(read_file(dir + "/predictions.jsonl"), lines);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), fs::directory_iterator()), 1) << "a half file was left";

  // Several sets, one after another.
  const std::string two = "+model.predict_ds=[{manifest_filepath: '" + kDigits +
                          "/test.json', batch_size: 4}, {manifest_filepath: '" + kDigits +
                          "/validation.json', batch_size: 4}]";
  const Result both = predict({two, "++trainer.limit_predict_batches=1"});
  ASSERT_EQ(both.status, 0) << both.err;
  EXPECT_EQ(std::count(both.out.begin(), both.out.end(), '\n'), 8);
}

TEST_F(Predict, WhatIsMissingIsSaid) {
  const Result none = predict({});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("there is no data to predict from"));
  EXPECT_THAT(none.err, HasSubstr("+model.predict_ds="));
  const Result gone = predict({"+model.predict_ds={manifest_filepath: /no/such.json}"});
  EXPECT_EQ(gone.status, 66) << gone.err;
  const Result words = predict({data_, "+predict_options=fast"});
  EXPECT_EQ(words.status, 1);
  EXPECT_THAT(words.err, HasSubstr("predict_options"));
  const Result interval = predict(
      {data_, "+trainer.callbacks=[{_target_: PredictionWriter, write_interval: now, output_dir: " + folder_ + "}]"});
  EXPECT_EQ(interval.status, 1);
  EXPECT_THAT(interval.err, HasSubstr("write_interval"));
}

TEST_F(Predict, ABadArchiveIsBadInput) {
  const auto archive = checkpoint::NemoArchive::open(nemo_);
  const auto rewritten = [&](const std::string& config, const std::vector<std::string>& more) {
    std::vector<checkpoint::NemoMember> members;
    for (const auto& member : archive.members())
      members.push_back(checkpoint::NemoMember::of_text(
          member.name, !config.empty() && member.name == checkpoint::kNemoConfig ? config : std::string(member.bytes)));
    for (const auto& name : more) members.push_back(checkpoint::NemoMember::of_text(name, "x"));
    checkpoint::write_nemo_archive(folder_ + "/bad.nemo", members);
    return run({fathom_program(), "transcribe", folder_ + "/bad.nemo", kDigits + "/flac/0_george_0.flac"});
  };
  const Result tag = rewritten("evil: !!python/object/apply:os.system ['true']\n", {});
  EXPECT_EQ(tag.status, 65) << tag.err;
  EXPECT_THAT(tag.err, HasSubstr("model_config.yaml"));
  const Result clash = rewritten("", {"a", "a/b"});
  EXPECT_EQ(clash.status, 65) << clash.err;
  EXPECT_THAT(clash.err, HasSubstr("a file and a folder of one name"));
  EXPECT_EQ(rewritten("", {"a/b", "a-b"}).status, 0);
}

TEST_F(Predict, ASignalLeavesNothingBehind) {
  fs::create_directories(folder_ + "/tmp");
  const std::string clips = read_file(kDigits + "/test.json");
  std::string many;
  for (int i = 0; i < 200; ++i) many += clips;
  write_file_atomically(folder_ + "/many.json", many);
  for (const auto& entry : fs::directory_iterator(kDigits)) {  // paths in the manifest are its folder's
    if (entry.is_directory())
      fs::create_directory_symlink(entry.path(), folder_ + "/" + entry.path().filename().string());
  }
  Process process({fathom_program(), "transcribe", nemo_, "--manifest", folder_ + "/many.json"},
                  {"TMPDIR=" + folder_ + "/tmp"});
  ASSERT_TRUE(process.read([](const Result& so_far) { return so_far.out.size() > 1000; }));
  EXPECT_FALSE(fs::is_empty(folder_ + "/tmp")) << "the model is unpacked somewhere else";
  process.kill(SIGTERM);
  EXPECT_EQ(process.wait().status, 128 + SIGTERM);
  EXPECT_TRUE(fs::is_empty(folder_ + "/tmp"));
}

}  // namespace
}  // namespace fathom::e2e
