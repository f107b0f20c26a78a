// What a model reads of a clip does not depend on the batch that the clip is in: the same words, one clip at a time or
// many, of models of every encoder. Modules alone are held to 1e-5 (plugins/asr/modules/batch_invariance_test.cc).
#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class Batches : public TrainingTest {
 protected:
  void SetUp() override {
    TrainingTest::SetUp();
    std::istringstream lines(read_file(kDigits + "/test.json"));
    std::string clips, line;
    for (int64_t i = 0; std::getline(lines, line); ++i) {
      if (i % 6 != 0) continue;
      Json item = parse_text(line);
      item["audio_filepath"] = kDigits + "/" + item["audio_filepath"].get<std::string>();
      clips += json_text(item) + "\n";
    }
    write_file_atomically(folder_ + "/clips.json", clips);
  }
  // A model with this encoder; "" leaves the recipe's. It learns nothing, so that it reads letters everywhere.
  std::string trained(const std::string& name, const std::string& encoder) const {
    std::vector<std::string> more = {"data_dir=" + kDigits,
                                     "trainer.max_epochs=1",
                                     "++trainer.limit_train_batches=1",
                                     "++trainer.limit_val_batches=1",
                                     "++trainer.limit_test_batches=0",
                                     "++trainer.num_sanity_val_steps=0",
                                     "model.optim.lr=0.000001",
                                     "~model.optim.sched"};
    if (!encoder.empty()) {
      more.insert(more.end(),
                  {"~model.encoder", "+model.encoder={feat_in: 40, " + encoder + "}", "model.decoder.feat_in=null"});
    }
    const Result result = run(recipe_in(name, "digits_quartznet", more));
    EXPECT_EQ(result.status, 0) << result.err;
    return file_of(name, "quartznet.nemo");
  }
  // By clip.
  std::map<std::string, std::string> texts(const std::string& nemo, const std::string& batch_size) const {
    const Result heard =
        fathom({"transcribe", nemo, "--manifest", folder_ + "/clips.json", "--batch-size", batch_size, "--json"});
    EXPECT_EQ(heard.status, 0) << heard.err;
    std::map<std::string, std::string> out;
    const Json document = parse_text(heard.out);
    for (const Json& item : document["items"]) out[item["audio_filepath"]] = item["pred_text"];
    return out;
  }
};

TEST_F(Batches, DoNotChangeWhatIsRead) {
  const std::string of_modules = "_target_: nemo.collections.asr.modules.";
  const std::map<std::string, std::string> encoders = {
      {"quartznet", ""},
      {"conformer", of_modules + "ConformerEncoder, n_layers: 2, d_model: 32, n_heads: 2, conv_kernel_size: 7"},
      {"fastconformer", of_modules + "ConformerEncoder, n_layers: 2, d_model: 32, n_heads: 2, conv_kernel_size: 7, "
                                     "subsampling: dw_striding, subsampling_conv_channels: 16"},
      {"squeezeformer", of_modules + "SqueezeformerEncoder, n_layers: 3, d_model: 32, n_heads: 2, conv_kernel_size: 7, "
                                     "time_reduce_idx: 1, subsampling_factor: 2"},
      {"lstm", of_modules + "RNNEncoder, n_layers: 2, d_model: 48, proj_size: 32, subsampling_factor: 2"}};
  for (const auto& [name, encoder] : encoders) {
    const std::string nemo = trained(name, encoder);
    const auto alone = texts(nemo, "1"), together = texts(nemo, "16");
    EXPECT_EQ(alone.size(), 42u) << name;
    EXPECT_EQ(alone, together) << name;
    // A model that reads nothing anywhere would show nothing.
    const bool reads = std::any_of(alone.begin(), alone.end(), [](const auto& item) { return !item.second.empty(); });
    EXPECT_TRUE(reads) << name << " reads nothing";
  }
}

// What is said and when stays as it is; how it is written comes beside it.
TEST_F(Batches, WrittenTextsComeBesideWhatIsRead) {
  const std::string nemo = trained("quartznet", "");
  const auto items = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"transcribe", nemo, "--manifest", folder_ + "/clips.json", "--timestamps", "--json"});
    const Result heard = fathom(more);
    EXPECT_EQ(heard.status, 0) << heard.err;
    return parse_text(heard.out)["items"];
  };
  const Json spoken = items({});
  Json both = items({"--inverse-normalize"});
  ASSERT_EQ(both.size(), spoken.size());
  for (Json& item : both) {
    ASSERT_TRUE(item.contains("written_text")) << json_text(item);
    const Json written = item["timestamps"]["written"];
    std::string text;
    for (const Json& part : written) text += (text.empty() ? "" : " ") + part["written"].get<std::string>();
    EXPECT_EQ(item["written_text"], text);
    if (!written.empty()) {
      EXPECT_EQ(written.front()["start"], item["timestamps"]["word"].front()["start"]);
      EXPECT_EQ(written.back()["end"], item["timestamps"]["word"].back()["end"]);
    }
    item.erase("written_text");
    item["timestamps"].erase("written");
  }
  EXPECT_EQ(both, spoken);
}

}  // namespace
}  // namespace fathom::e2e
