// NeMo's own experiments for the model classes that are here start, as they are, up to the data that is not there.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/e2e/process.h"

namespace fathom::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(NemoRecipes, StartUpToTheirMissingData) {
  const std::string configs = FATHOM_SOURCE_DIR "/../shared/golden/config/nemo/examples/asr";
  if (!fs::exists(configs)) GTEST_SKIP() << configs << " is not here";
  const std::string manifest = "/nowhere/manifest.json", subwords = FATHOM_SOURCE_DIR "/tests/data/tokenizers/digits";
  struct Recipe {
    std::string folder, name, model;
    std::vector<std::string> more;
  };
  const std::vector<std::string> bpe = {"model.tokenizer.dir=" + subwords, "model.tokenizer.type=bpe"};
  const Recipe recipes[] = {{"conf", "config", "EncDecCTCModel", {}},
                            {"conf/conformer", "conformer_ctc_char", "EncDecCTCModel", {}},
                            {"conf/quartznet", "quartznet_15x5_aug", "EncDecCTCModel", {"~model.train_ds.augmentor"}},
                            {"conf/quartznet", "quartznet_15x5_zh", "EncDecCTCModel", {}},
                            {"experimental/structured/conf", "quartznet_15x5", "EncDecCTCModel", {}},
                            {"conf/citrinet", "citrinet_384", "EncDecCTCModelBPE", bpe},
                            {"conf/citrinet", "config_bpe", "EncDecCTCModelBPE", bpe},
                            {"conf/fastconformer", "fast-conformer_ctc_bpe", "EncDecCTCModelBPE", bpe}};
  for (const Recipe& recipe : recipes) {
    std::vector<std::string> words = {"train",
                                      "-cp",
                                      configs + "/" + recipe.folder,
                                      "-cn",
                                      recipe.name,
                                      "+model._target_=nemo.collections.asr.models." + recipe.model,
                                      "model.train_ds.manifest_filepath=" + manifest,
                                      "model.validation_ds.manifest_filepath=" + manifest,
                                      "trainer.accelerator=cpu",
                                      "++exp_manager.exp_dir=" + testing::TempDir() + "fathom_recipes"};
    words.insert(words.end(), recipe.more.begin(), recipe.more.end());
    const Result result = fathom(words);
    EXPECT_EQ(result.status, 66) << recipe.name << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr(manifest)) << recipe.name;
  }
  EXPECT_FALSE(fs::exists(testing::TempDir() + "fathom_recipes")) << "nothing is written before the data is there";
}

}  // namespace
}  // namespace fathom::e2e
