// Spoken commands: a MatchboxNet learns the bundled digits, is restored in a new process and names what it hears.
#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class Classification : public TrainingTest {
 protected:
  // Labels in another order than the sorted one, which is that of the classes.
  std::vector<std::string> matchboxnet(const std::string& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"model.sample_rate=8000",
                                    "model.labels=[zero,one,two,three,four,five,six,seven,eight,nine]",
                                    "model.train_ds.manifest_filepath=" + kDigits + "/train.json",
                                    "model.validation_ds.manifest_filepath=" + kDigits + "/validation.json",
                                    "model.train_ds.label_key=text",
                                    "model.train_ds.batch_size=32",
                                    "model.train_ds.num_workers=0",
                                    "model.validation_ds.num_workers=0",
                                    "model.spec_augment=null",
                                    "trainer.max_epochs=2",
                                    "++trainer.limit_train_batches=20",
                                    "++trainer.limit_val_batches=2"};
    all.insert(all.end(), more.begin(), more.end());
    return recipe_in(run, "matchboxnet_3x1x64", all);
  }
};

TEST_F(Classification, LearnsDigitsAndNamesThem) {
  const Result trained = run(matchboxnet("run"));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string nemo = folder_ + "/run/checkpoints/MatchboxNet-3x1x64-v2.nemo";
  const std::string csv = read_file(folder_ + "/run/metrics.csv");
  for (const char* name : {"val_loss", "val_acc_micro_top_1", "val_acc_macro", "training_batch_accuracy_top_0"})
    EXPECT_TRUE(contains(csv, name)) << name;
  EXPECT_TRUE(contains(trained.err, "val_acc_micro_top_1")) << "the checkpoint callback watches it";

  // The classes are the sorted words of the data, and what is restored knows them.
  const Result shown = fathom({"inspect", nemo, "--config"});
  const size_t data = shown.out.find("train_ds:"), labels = shown.out.find("labels:", data);
  EXPECT_LT(shown.out.find("eight", labels), shown.out.find("zero", labels)) << shown.out;
  EXPECT_TRUE(contains(shown.out, "target: nemo.collections.asr.models.EncDecClassificationModel")) << shown.out;

  const Result heard =
      fathom({"transcribe", nemo, "--manifest", kDigits + "/test.json", "--batch-size", "7", "--json"});
  ASSERT_EQ(heard.status, 0) << heard.err;
  const auto document = nlohmann::json::parse(heard.out);
  ASSERT_EQ(document["items"].size(), 250u);
  EXPECT_LT(document["wer"].get<double>(), 0.6) << "by chance it is 0.9";
  const Result one = fathom({"transcribe", nemo, kDigits + "/flac/7_theo_3.flac"});
  ASSERT_EQ(one.status, 0) << one.err;
  const auto line = nlohmann::json::parse(one.out);
  for (const auto& item : document["items"]) {
    if (item["audio_filepath"] == "flac/7_theo_3.flac")
      EXPECT_EQ(item["pred_text"], line["pred_text"]) << "whatever the batch";
  }
}

TEST_F(Classification, SaysWhatIsWrongWithLabels) {
  const Result none = run(matchboxnet("none", {"model.train_ds.label_key=null"}));
  EXPECT_EQ(none.status, 65) << none.err;
  EXPECT_TRUE(contains(none.err, "train.json:1")) << none.err;
  EXPECT_TRUE(contains(none.err, "label_key: text")) << none.err;
  const Result few = run(matchboxnet("few", {"model.labels=[zero,one]"}));
  EXPECT_EQ(few.status, 65) << few.err;
  EXPECT_TRUE(contains(few.err, "more labels than the model")) << few.err;
  EXPECT_FALSE(fs::exists(folder_ + "/few"));
}

}  // namespace
}  // namespace fathom::e2e
