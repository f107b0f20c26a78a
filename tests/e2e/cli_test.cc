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
                                                                                     {"convert", "--help"},
                                                                                     {"diff", "--help"},
                                                                                     {"models", "--help"},
                                                                                     {"models", "push", "--help"},
                                                                                     {"runs", "--help"},
                                                                                     {"runs", "plot", "--help"},
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
    if (entry.path().extension() != ".yaml" || entry.path().stem().string().starts_with("digits_"))
      continue;  // a whole in itself
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
  EXPECT_TRUE(contains(fathom({"__complete", "models", "fetch", "stt_en_q"}).out, "stt_en_quartznet15x5\n"));
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

// A folder of configs, which the program is run in.
class CliFolder : public Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    write("c.yaml", "a:\n  b: 5\nx: 1\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = std::filesystem::path(folder_) / name;
    std::filesystem::create_directories(path.parent_path());
    write_file_atomically(path.string(), text);
  }
  Result here(const std::string& line) const {
    return run({"bash", "-c", "cd " + folder_ + " && PATH=" FATHOM_BINARY_DIR "/bin:$PATH; " + line});
  }
  std::string folder_ = testing::TempDir() + "fathom_cli";
};

TEST_F(CliFolder, ExplainAndProvenanceReadTheirFlagsLikeTheOthers) {
  for (const char* line : {"-cn=c a.b", "a.b -cn c", "--config-name c -cp . a.b", "x=2 -cn c a.b"}) {
    const Result result = here(std::string("fathom config explain ") + line);
    EXPECT_TRUE(contains(result.out, "value      5\n")) << line << result.out << result.err;
  }
  EXPECT_TRUE(contains(here("fathom config -cn c explain a.b").out, "value      5\n"));
  EXPECT_EQ(here("fathom config show --provenance -p a -cn c").out, "a.b = 5  # c.yaml:2:6\n");
  const Result wrong = here("fathom config show --provenance -p aa -cn c");
  EXPECT_EQ(wrong.status, 1);
  EXPECT_TRUE(contains(wrong.err, "did you mean: a")) << wrong.err;
  EXPECT_TRUE(contains(here("fathom config explain a.bb -cn c").err, "did you mean: a.b")) << wrong.err;
  write("h.yaml", "who: ${hydra:job.config_name}\n");
  EXPECT_TRUE(contains(here("fathom config explain who -cn h").out, "resolved   h\n"));
  EXPECT_TRUE(contains(here("fathom config show --provenance --resolve -cn h").out, "who = h "));
}

TEST_F(CliFolder, TheSummaryIsWrittenWhateverHappens) {
  const auto failed = [](const std::string& text) { return parse_text(text)["status"] == "failed"; };
  EXPECT_TRUE(failed(here("fathom train -cn c ++trainer.max_epochs=two --json-summary s.json; cat s.json").out));
  EXPECT_TRUE(failed(here("fathom train -cn nosuch --json-summary=t.json; cat t.json").out));
  EXPECT_TRUE(failed(here("fathom test -cn c --json-summary -").out));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/-"));
  const Result sweep = here("fathom train -cn c -m ++trainer.max_epochs=two,three hydra.sweep.dir=m --json-summary -");
  EXPECT_EQ(parse_text(sweep.out).size(), 2u) << sweep.out << sweep.err;
  const Result nowhere = here("fathom train -cn c ++trainer.max_epochs=two --json-summary no/such/s.json");
  EXPECT_EQ(nowhere.status, 1);  // what went wrong first
  EXPECT_TRUE(contains(nowhere.err, "max_epochs") && contains(nowhere.err, "no/such")) << nowhere.err;
}

TEST_F(CliFolder, RefusalsNameTheirOriginAndTheNearestName) {
  const auto says = [&](const std::string& words, std::vector<std::string> parts) {
    const Result result = here("fathom " + words);
    EXPECT_NE(result.status, 0) << words;
    for (const auto& part : parts) EXPECT_TRUE(contains(result.err, part)) << words << ": " << result.err;
  };
  write("c.yaml", "trainer: {max_epochs: 1}\nexp_manager:\n  resume_if_exist: true\n");
  says("train -cn c +trainer.max_epoch=3 ", {"command line: +trainer.max_epoch=3", "did you mean: max_epochs",
                                             "exp_manager.resume_if_exist (", "c.yaml:3:20", "resume_if_exists"});
  says("test -cn c +trainer.max_epoch=3", {"command line: +trainer.max_epoch=3", "did you mean: max_epochs"});
  says("train -cn c ~exp_manager +trainer.gradient_clip_algorithm=nrom",
       {"command line: +trainer.gradient_clip_algorithm=nrom", "did you mean: norm"});
  says("train -cn c ~exp_manager +trainer.precision=bf16-mixd",
       {"command line: +trainer.precision=bf16-mixd", "did you mean: bf16-mixed"});
  const std::string digits = "-cp " FATHOM_SOURCE_DIR "/configs/asr -cn digits_quartznet data_dir=. ";
  says("train " + digits + "+model.train_ds.batch_sise=3",
       {"command line: +model.train_ds.batch_sise=3", "did you mean: batch_size"});
  says("train " + digits + "+model.encoder.conv_msk=true",
       {"command line: +model.encoder.conv_msk=true", "did you mean: conv_mask"});
  says("train -cn cc", {"command line: --config-name cc", "did you mean: c"});
  std::filesystem::create_directories(folder_ + "/configs");
  says("train -cp config -cn c", {"Primary config directory not found", "did you mean: configs"});
  EXPECT_TRUE(contains(here("fathom config explain hydra.job.config_name -cn c").out, "value      c"));
  says("config explain hydra.job.nam -cn c", {"did you mean: hydra.job.name"});
  write("missing.yaml", "epochs: ???\ntrainer:\n  max_epochs: ???\n  min_epochs: ${epochs}\n");
  const Result missing = here("fathom train -cn missing");
  size_t told = 0;
  for (size_t at = missing.err.find("error: "); at != std::string::npos; at = missing.err.find("error: ", at + 1))
    ++told;
  EXPECT_EQ(told, 2u) << missing.err;  // epochs and max_epochs
}

TEST_F(CliFolder, TheEncoderGivesTheDecoderItsWidth) {
  const Result result = here("fathom train -cp " FATHOM_SOURCE_DIR
                             "/configs/asr -cn digits_quartznet data_dir=/no/such model.decoder.feat_in=null");
  EXPECT_EQ(result.status, 66);  // the data, which is read later
  EXPECT_FALSE(contains(result.err, "feat_in")) << result.err;
}

TEST_F(CliFolder, JobsOfASweepShareNoFolder) {
  const Result result = here(
      "fathom --threads 1 train -cp " FATHOM_SOURCE_DIR "/configs/asr -cn digits_quartznet data_dir=" FATHOM_SOURCE_DIR
      "/tests/data/digits trainer.max_epochs=1 +trainer.max_steps=1 +trainer.limit_val_batches=1 "
      "+trainer.num_sanity_val_steps=0 exp_manager.exp_dir=out -m model.optim.lr=0.1,0.2 --json-summary -");
  ASSERT_EQ(result.status, 0) << result.err;
  const Json runs = parse_text(result.out);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_NE(runs[0]["log_dir"], runs[1]["log_dir"]);
  EXPECT_TRUE(contains(runs[1]["log_dir"], "/out/1/")) << json_text(runs);
}

TEST_F(CliFolder, WeightsToEvaluateAreNamedAsTheHelpHasIt) {
  EXPECT_EQ(here("fathom test -cn c model_path=nosuch.nemo").status, 66);
  const Result typo = here("fathom test -cn c modle_path=nosuch.nemo");
  EXPECT_TRUE(contains(typo.err, "did you mean: model_path")) << typo.err;
}

TEST_F(CliFolder, CompletionKnowsFlagsAndTheirValues) {
  write("config.yaml", "defaults:\n- db: mysql\n- _self_\nmodel: {x: 1}\n");
  write("db/mysql.yaml", "k: 1\n");
  write("db/pg.yaml", "k: 2\n");
  write("my confs/beta.yaml", "a: 1\n");
  write("my confs/db/other.yaml", "k: 3\n");
  const auto offers = [&](const std::string& words) { return here("fathom __complete " + words).out; };
  EXPECT_EQ(offers("train +db="), "+db=mysql\n+db=pg\n");
  EXPECT_EQ(offers("train --cfg ''"), "job\nhydra\nall\n");
  EXPECT_EQ(offers("train --cfg=h"), "--cfg=hydra\n");
  EXPECT_EQ(offers("train -cp my"), "my confs/\n");
  EXPECT_EQ(offers("train --config-path='my confs' -cn ''"), "beta\n");
  EXPECT_EQ(offers("train -cp 'my confs' db="), "db=other\n");  // there is no config.yaml
  EXPECT_EQ(offers("train --plugin-dir d"), "db/\n");
  EXPECT_EQ(offers("config explain model.x"), "model.x\n");
}

// The scripts in a bash, which passes on the line it has.
TEST_F(CliFolder, TheCompletionScriptsWork) {
  write("config.yaml", "defaults:\n- db: mysql\n- _self_\nmodel: {x: 1}\n");
  write("db/mysql.yaml", "k: 1\n");
  write("db/pg.yaml", "k: 2\n");
  write("my confs/beta.yaml", "a: 1\n");
  for (const char* script : {"fathom completion bash", "fathom train -sc install=bash"}) {
    const auto answer = [&](const std::string& line) {
      return here("eval \"$(" + std::string(script) + ")\"; read -r -d '' COMP_LINE <<'EOF'\n" + line +
                  "\nEOF\nCOMP_POINT=${#COMP_LINE}; $(complete -p fathom | sed 's/.*-F \\([^ ]*\\).*/\\1/') fathom "
                  "2>/dev/null; echo \"${COMPREPLY[*]}\"")
          .out;
    };
    EXPECT_EQ(answer("fathom train mod"), "model.\n") << script;
    EXPECT_EQ(answer("fathom train db=p"), "pg\n") << script;  // what follows bash's last break
    EXPECT_EQ(answer("fathom train -cp 'my confs' -cn b"), "beta\n") << script;
    EXPECT_EQ(answer("fathom train -cp my"), "my\\ confs/\n") << script;
  }
  for (const char* shell : {"zsh", "fish"})
    EXPECT_TRUE(
        contains(here(std::string("fathom completion ") + shell).out, "__complete --shell=" + std::string(shell)));
}

TEST(Cli, SpokenTextsAreWritten) {
  const std::string folder = testing::TempDir() + "/spoken_texts";
  std::filesystem::create_directories(folder);
  const auto text = [](std::vector<std::string> words) {
    words.insert(words.begin(), {"text", "inverse-normalize"});
    return fathom(words);
  };
  EXPECT_EQ(text({"twenty three dollars and five cents", "it is half past two"}).out, "$23.05\nit is 02:30\n");
  EXPECT_EQ(text({"--input-case", "cased", "Twenty one", "--lang", "en", "Doctor Who"}).out, "21\nDr. Who\n")
      << "a flag takes one word";
  EXPECT_EQ(fathom({"text", "inverse_normalize", "twenty second"}).out, "22nd\n");
  write_file_atomically(folder + "/spoken.txt", "twenty one\n\n\xFF x\nminus forty");
  EXPECT_EQ(text({"--file", folder + "/spoken.txt"}).out, "21\n\n\xFF x\n-40\n");
  write_file_atomically(folder + "/list.tsv", "Co.\tcompany\n");
  EXPECT_EQ(text({"--whitelist", folder + "/list.tsv", "this company and mister x"}).out, "this Co. and mister x\n");
  const Result piped =
      run({"/bin/sh", "-c", "printf 'twenty one\\nfive p m' | " + fathom_program() + " text inverse-normalize -"});
  EXPECT_EQ(piped.out, "21\n05:00 p.m.\n");
  EXPECT_EQ(text({"--lang", "de", "zwei"}).status, 69);
  EXPECT_EQ(text({"--input-case", "upper", "x"}).status, 1);
  EXPECT_EQ(text({"--whitelist", folder + "/none.tsv", "x"}).status, 66);
  EXPECT_EQ(text({"--file", folder + "/none.txt"}).status, 66);
  EXPECT_EQ(text({"--file", folder + "/spoken.txt", "x"}).status, 2);
  write_file_atomically(folder + "/bad.tsv", "Co.\tcompany\nno tab\n");
  const Result bad = text({"--whitelist", folder + "/bad.tsv", "x"});
  EXPECT_EQ(bad.status, 65);
  EXPECT_TRUE(contains(bad.err, "bad.tsv:2")) << bad.err;
  EXPECT_TRUE(contains(fathom({"text", "--help"}).out, "inverse-normalize")) << "commands with dashes are listed";
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

TEST_F(CliFolder, DoctorMissesThePlugins) {
  std::filesystem::copy(fathom_program(), folder_ + "/fathom");
  const Result none = here("./fathom doctor");
  EXPECT_EQ(none.status, 1);
  EXPECT_TRUE(contains(none.out, "FAIL  plugin folder")) << none.out << none.err;
  std::filesystem::create_directories(folder_ + "/empty");
  const Result empty = here("./fathom --plugin-dir $PWD/empty doctor");
  EXPECT_EQ(empty.status, 1);
  EXPECT_TRUE(contains(empty.out, "FAIL  plugins")) << empty.out << empty.err;
}

}  // namespace
}  // namespace fathom::e2e
