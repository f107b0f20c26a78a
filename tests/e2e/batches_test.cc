// What a model reads of a clip does not depend on the batch that the clip is in: the same words, one clip at a time or
// many, of models of every encoder. Modules alone are held to 1e-5 (plugins/asr/modules/batch_invariance_test.cc).
#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class Batches : public TrainingTest {
 protected:
  // A model after a few steps of training with this encoder; "" leaves the recipe's.
  std::string trained(const std::string& name, const std::string& encoder) const {
    std::vector<std::string> more = {
        "data_dir=" + kDigits,           "trainer.max_epochs=1",           "++trainer.limit_train_batches=6",
        "++trainer.limit_val_batches=1", "++trainer.limit_test_batches=0", "++trainer.num_sanity_val_steps=0"};
    if (!encoder.empty()) {
      more.insert(more.end(), {"~model.encoder", "+model.encoder={feat_in: 40, " + encoder + "}",
                               "model.decoder.feat_in=null", "~model.optim.sched"});
    }
    const Result result = run(recipe_in(name, "digits_quartznet", more));
    EXPECT_EQ(result.status, 0) << result.err;
    return file_of(name, "quartznet.nemo");
  }
  // By clip.
  static std::map<std::string, std::string> texts(const std::string& nemo, const std::string& batch_size) {
    const Result heard =
        fathom({"transcribe", nemo, "--manifest", kDigits + "/test.json", "--batch-size", batch_size, "--json"});
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
    EXPECT_EQ(alone.size(), 250u) << name;
    EXPECT_EQ(alone, together) << name;
    // A model that reads nothing anywhere would show nothing.
    const bool reads = std::any_of(alone.begin(), alone.end(), [](const auto& item) { return !item.second.empty(); });
    EXPECT_TRUE(reads) << name << " reads nothing";
  }
}

}  // namespace
}  // namespace fathom::e2e
