#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/file.h"
#include "fathom/json.h"
#include "tests/e2e/process.h"

namespace fathom::e2e {
namespace {

using testing::Test;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Cli, HelpOnEveryLevelGoesToStdout) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"--help"},
                                                                                     {"train", "--help"},
                                                                                     {"test", "--help"},
                                                                                     {"validate", "--help"},
                                                                                     {"transcribe", "--help"},
                                                                                     {"inspect", "--help"},
                                                                                     {"config", "--help"},
                                                                                     {"plugins", "--help"},
                                                                                     {"doctor", "--help"},
                                                                                     {"completion", "--help"}}) {
    const Result result = fathom(words);
    EXPECT_EQ(result.status, 0) << words[0] << result.err;
    EXPECT_FALSE(result.out.empty()) << words[0];
    EXPECT_TRUE(result.err.empty()) << result.err;
  }
}

TEST(Cli, UsageErrorsAreStatus2WithTheNearestName) {
  const Result unknown = fathom({"trian"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_TRUE(unknown.out.empty());
  EXPECT_TRUE(contains(unknown.err, "error: ")) << unknown.err;
  EXPECT_TRUE(contains(unknown.err, "train")) << unknown.err;
  EXPECT_EQ(fathom({}).status, 2);
  EXPECT_EQ(fathom({"transcribe", "--nonsense"}).status, 2);
  EXPECT_EQ(fathom({"--threads", "none", "version"}).status, 2);
  EXPECT_EQ(fathom({"train", "--no-such-flag"}).status, 2);
}

TEST(Cli, ConfigProblemsAreStatus1AndAllToldAtOnce) {
  const Result result = fathom({"train", "-cp", FATHOM_SOURCE_DIR "/configs/asr", "-cn", "digits_quartznet",
                                "++trainer.max_epoch=3", "++model.optim.name=novograt", "++model.encoder.feat_inn=3"});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(contains(result.err, "max_epoch")) << result.err;
  EXPECT_TRUE(contains(result.err, "novograd")) << result.err;
  EXPECT_TRUE(contains(result.err, "feat_in")) << result.err;
  EXPECT_EQ(fathom({"train", "-cn", "no_such_config"}).status, 1);
}

TEST(Cli, TheReferencePagesAreThoseThePluginsGive) {
  size_t pages = 0;
  for (const auto& plugin : std::filesystem::directory_iterator(FATHOM_BINARY_DIR "/lib/fathom/plugins")) {
    if (plugin.path().extension() != ".so") continue;
    const std::string name = plugin.path().stem();
    const Result page = fathom({"plugins", "info", name, "--markdown"});
    EXPECT_EQ(page.status, 0) << page.err;
    EXPECT_EQ(page.out, read_file(std::string(FATHOM_SOURCE_DIR "/docs/reference/") + name + ".md"))
        << "run ./dev docs";
    ++pages;
  }
  EXPECT_GE(pages, 6u);
  const Result unknown = fathom({"plugins", "info", "optimizer", "--markdown"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_TRUE(contains(unknown.err, "did you mean: optimizers")) << unknown.err;
}

TEST(Cli, ALearningRateCurveIsDrawn) {
  const std::vector<std::string> words = {"plugins",          "info",           "CosineAnnealing", "--plot",
                                          "warmup_steps=100", "max_steps=1000", "min_lr=1e-3",     "lr=0.1"};
  const Result drawn = fathom(words);
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_TRUE(contains(drawn.out, "first 0.0009901, highest 0.1, lowest 0.0009901, last 0.001")) << drawn.out;
  EXPECT_TRUE(contains(drawn.out, "step 1000")) << drawn.out;
  const std::string file = testing::TempDir() + "/fathom_curve.svg";
  EXPECT_EQ(
      fathom({"plugins", "info", "NoamAnnealing", "--svg", file, "d_model=256", "warmup_steps=10", "max_steps=100"})
          .status,
      0);
  EXPECT_TRUE(contains(read_file(file), "<polyline")) << read_file(file);
  const Result plateau =
      fathom({"plugins", "info", "ReduceLROnPlateau", "--plot", "patience=3", "factor=0.5", "steps=20"});
  EXPECT_TRUE(contains(plateau.out, "epoch 19")) << plateau.out << plateau.err;

  const Result wrong = fathom({"plugins", "info", "CosineAnnealing", "--plot", "warmup_stepps=3", "max_steps=10"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_TRUE(contains(wrong.err, "did you mean: warmup_steps")) << wrong.err;
  EXPECT_EQ(fathom({"plugins", "info", "adamw", "--plot"}).status, 1);
  EXPECT_EQ(fathom({"plugins", "info", "CosineAnnealing", "--plot", "warmup_steps"}).status, 2);
  EXPECT_EQ(fathom({"plugins", "info", "CosineAnnealing", "--plot", "max_steps=10", "steps=1"}).status, 1);
  EXPECT_EQ(fathom({"plugins", "info", "CosineAnnealing", "--svg", "/no/such/folder/x.svg", "max_steps=10"}).status,
            73);
}

TEST(Cli, InputsThatAreNotThereAreStatus66) {
  EXPECT_EQ(fathom({"transcribe", "/no/such.nemo", "a.wav"}).status, 66);
  EXPECT_EQ(fathom({"inspect", "/no/such.nemo"}).status, 66);
}

TEST(Cli, PluginsListIsJsonWithTheFixedKeys) {
  const Result result = fathom({"plugins", "list", "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto list = nlohmann::json::parse(result.out);
  ASSERT_FALSE(list.empty());
  for (const auto& plugin : list) {
    for (const char* key : {"name", "version", "file", "abi", "torch_use", "status", "provides"})
      EXPECT_TRUE(plugin.contains(key)) << key;
    EXPECT_EQ(plugin["status"], "ok") << json_text(plugin);
  }
}

TEST(Cli, ConfigShowIsYamlAndOverridesApply) {
  const Result result = fathom(
      {"config", "show", "-cp", FATHOM_SOURCE_DIR "/configs/asr", "-cn", "digits_quartznet", "trainer.max_epochs=7"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "max_epochs: 7"));
  const Result explained = fathom(
      {"config", "explain", "model.optim.lr", "-cp", FATHOM_SOURCE_DIR "/configs/asr", "-cn", "digits_quartznet"});
  ASSERT_EQ(explained.status, 0) << explained.err;
  EXPECT_TRUE(contains(explained.out, "digits_quartznet.yaml:")) << explained.out;
}

TEST(Cli, ResolversOfPluginsWorkInConfigs) {
  const std::string file = testing::TempDir() + "with_resolver.yaml";
  write_file_atomically(file, "a: ${repeat:ab,3}\n");
  const std::string folder = testing::TempDir();
  const Result result = fathom({"--plugin-dir", FATHOM_BINARY_DIR "/tests/plugins/odd/described", "config", "show",
                                "--resolve", "-cp", folder, "-cn", "with_resolver"});
  EXPECT_EQ(result.out, "a: ababab\n") << result.err;
  const Result without = fathom({"config", "show", "--resolve", "-cp", folder, "-cn", "with_resolver"});
  EXPECT_EQ(without.status, 1);
  EXPECT_TRUE(contains(without.err, "repeat")) << without.err;
}

TEST(Cli, AllProblemsOfAConfigAreToldTogether) {
  const std::string folder = testing::TempDir();
  write_file_atomically(folder + "many_problems.yaml", "a: ${nowhere}\nb: ???\nc: [1, '${no.where}']\n");
  const Result result = fathom({"train", "-cp", folder, "-cn", "many_problems"});
  EXPECT_EQ(result.status, 1);
  for (const char* part : {"nowhere", "no.where", "mandatory"}) EXPECT_TRUE(contains(result.err, part)) << result.err;
}

TEST(Cli, InfoAndHelpShowTheConfig) {
  const std::string configs = FATHOM_SOURCE_DIR "/configs/asr";
  const Result help = fathom({"train", "-cp", configs, "-cn", "digits_quartznet", "--help"});
  EXPECT_TRUE(contains(help.out, "== Config ==") && contains(help.out, "max_epochs:")) << help.out;
  const Result tree = fathom({"train", "-cp", configs, "-cn", "digits_quartznet", "--info", "defaults-tree"});
  EXPECT_TRUE(contains(tree.out, "digits_quartznet")) << tree.out << tree.err;
  const Result plugins = fathom({"train", "-cp", configs, "-cn", "digits_quartznet", "--info", "plugins"});
  EXPECT_TRUE(contains(plugins.out, "asr.so")) << plugins.out << plugins.err;
}

TEST(Cli, EveryExperimentComposesWithEveryOptionOfItsGroups) {
  const std::string configs = FATHOM_SOURCE_DIR "/configs/asr";
  int composed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(configs)) {
    if (entry.path().extension() != ".yaml" || entry.path().stem() == "digits_quartznet") continue;
    const std::string name = entry.path().stem();
    for (const char* group : {"optim", "trainer", "exp_manager"}) {
      for (const auto& option : std::filesystem::directory_iterator(configs + "/" + group)) {
        const std::string word = std::string(group) + "=" + option.path().stem().string();
        const Result result = fathom({"config", "show", "-cp", configs, "-cn", name, word});
        EXPECT_EQ(result.status, 0) << name << " " << word << ": " << result.err;
        EXPECT_TRUE(contains(result.out, "optim:\n    name: ")) << result.out;
        EXPECT_TRUE(result.err.empty()) << result.err;
        ++composed;
      }
    }
  }
  EXPECT_GE(composed, 4 * 8);
}

TEST(Cli, CompletionKnowsCommandsConfigsAndKeys) {
  EXPECT_EQ(fathom({"completion", "bash"}).status, 0);
  EXPECT_TRUE(contains(fathom({"__complete", "tr"}).out, "train\n"));
  const std::string configs = FATHOM_SOURCE_DIR "/configs/asr";
  EXPECT_TRUE(contains(fathom({"__complete", "train", "-cp", configs, "-cn", "digits"}).out, "digits_quartznet\n"));
  EXPECT_TRUE(contains(fathom({"__complete", "train", "-cp", configs, "-cn", "digits_quartznet", "model.opt"}).out,
                       "model.optim.\n"));
  const Result optimizers =
      fathom({"__complete", "train", "-cp", configs, "-cn", "quartznet_15x5", "model.optim.name=a"});
  EXPECT_TRUE(contains(optimizers.out, "model.optim.name=adamw\n")) << optimizers.out;
  EXPECT_FALSE(contains(optimizers.out, "asr.")) << optimizers.out;
  EXPECT_TRUE(contains(fathom({"__complete", "train", "-cp", configs, "-cn", "quartznet_15x5", "optim=novo"}).out,
                       "optim=novograd_cosine\n"));
  EXPECT_TRUE(contains(
      fathom({"__complete", "train", "-cp", configs, "-cn", "quartznet_15x5", "+deep.er=1", "dee"}).out, "deep.\n"));
}

TEST(Cli, QuickCommandsDoNotLinkTorch) {
  const Result result = run({"ldd", fathom_program()});
  ASSERT_EQ(result.status, 0);
  EXPECT_FALSE(contains(result.out, "libtorch")) << result.out;
  EXPECT_FALSE(contains(result.out, "libc10")) << result.out;
}

TEST(Cli, AReaderThatGoesAwayIsNoError) {
  const Result result =
      run({"sh", "-c",
           fathom_program() + " config show -cp " FATHOM_SOURCE_DIR "/configs/asr -cn digits_quartznet | head -1"});
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(result.err.empty()) << result.err;
}

TEST(Cli, Doctor) {
  const Result result = fathom({"doctor"});
  EXPECT_EQ(result.status, 0) << result.out;
  EXPECT_TRUE(contains(result.out, "libtorch"));
}

}  // namespace
}  // namespace fathom::e2e
