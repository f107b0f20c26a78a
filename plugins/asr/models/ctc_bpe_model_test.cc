#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/archive/nemo_archive.h"
#include "core/base/file.h"
#include "core/base/temporary_folder.h"
#include "core/models/nemo_file.h"
#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "plugins/asr/models/ctc_model.h"
#include "plugins/lib/recorded_test_data.h"
#include "plugins/lib/text/sentencepiece_tokenizer.h"
#include "plugins/lib/text/word_piece_tokenizer.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::asr {
namespace {

const std::string kTokenizers = FATHOM_SOURCE_DIR "/tests/data/tokenizers";

Json subword_config() {
  return Json::parse(R"({
    "sample_rate": 8000, "tokenizer": {"type": "bpe"},
    "preprocessor": {"sample_rate": 8000, "window_size": 0.02, "window_stride": 0.01, "features": 20, "n_fft": 256, "dither": 0.0},
    "encoder": {"feat_in": 20, "activation": "relu", "conv_mask": true,
      "jasper": [{"filters": 24, "repeat": 1, "kernel": [5], "stride": [2], "dilation": [1], "dropout": 0.0, "residual": false, "separable": true}]},
    "decoder": {"feat_in": null, "num_classes": -1, "vocabulary": []}})");
}

class CtcBpeModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_slot() = plugins::host_table();
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }
  static Json config_of(const std::string& folder) {
    Json config = subword_config();
    config["tokenizer"]["dir"] = folder;
    return config;
  }
  static ModelHandle make(Json config) {
    at::manual_seed(1);
    config["_target_"] = "nemo.collections.asr.models.EncDecCTCModelBPE";
    return ModelHandle(create_object(1u << FATHOM_KIND_MODEL, config, "model"));
  }
};

TEST_F(CtcBpeModelTest, FillsTheDecoderFromTokenizerAndEncoder) {
  const ModelHandle model = make(config_of(kTokenizers + "/digits"));
  const Json decoder = model.config()["decoder"];
  EXPECT_EQ(decoder["feat_in"], 24);
  EXPECT_EQ(decoder["num_classes"], 32);
  EXPECT_EQ(decoder["vocabulary"].size(), 32u);
  EXPECT_EQ(decoder["vocabulary"][3], "\u2581f");
  Json wrong = config_of(kTokenizers + "/digits");
  wrong["decoder"]["num_classes"] = 31;
  try {
    make(wrong);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("a tokenizer of 32"), std::string::npos) << error.what();
  }
  wrong = config_of(kTokenizers + "/digits");
  wrong["_target_"] = "asr.EncDecCTCModel";
  EXPECT_THROW(create_object(1u << FATHOM_KIND_MODEL, wrong, "model"), Error)
      << "a model of characters has no tokenizer";
}

TEST_F(CtcBpeModelTest, LabelsBesideATokenizerAreNotUsedAndThatIsSaid) {
  const auto log_of = [](const Json& config) {
    testing::internal::CaptureStderr();
    make(config);
    return testing::internal::GetCapturedStderr();
  };
  const Json config = config_of(kTokenizers + "/digits");
  EXPECT_EQ(log_of(config).find("labels"), std::string::npos);
  Json labelled = config;
  labelled["labels"] = {"a", "b"};
  EXPECT_NE(log_of(labelled).find("model.labels is not used"), std::string::npos) << log_of(labelled);
  EXPECT_EQ(make(labelled).config()["decoder"], make(config).config()["decoder"]);

  // A file that has them was warned of when it was trained.
  const TemporaryFolder folder;
  save_nemo(make(labelled), folder.path() + "/a.nemo");
  testing::internal::CaptureStderr();
  restore_nemo(folder.path() + "/a.nemo");
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("labels"), std::string::npos);
}

TEST_F(CtcBpeModelTest, AFileWhoseDecoderHasOtherTokensIsToldOf) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.nemo";
  save_nemo(make(config_of(kTokenizers + "/digits")), path);
  const auto log_of = [&](const Json& vocabulary) {
    RestoreOptions options;
    options.overrides = {{"decoder", {{"vocabulary", vocabulary}}}};
    testing::internal::CaptureStderr();
    EXPECT_EQ(restore_nemo(path, options).model.config()["decoder"]["vocabulary"],
              read_nemo_config(path)["decoder"]["vocabulary"]);
    return testing::internal::GetCapturedStderr();
  };
  Json tokens = read_nemo_config(path)["decoder"]["vocabulary"];
  std::swap(tokens[3], tokens[4]);
  EXPECT_EQ(log_of(tokens), "") << "some writers sort them otherwise";
  EXPECT_EQ(log_of(Json::array()), "");
  tokens[5] = "x";
  EXPECT_NE(log_of(tokens).find("decoder.vocabulary has other tokens than the tokenizer"), std::string::npos);
}

TEST_F(CtcBpeModelTest, SaysThatNemoNeedsTheListOfPieces) {
  const auto log_of = [](const std::string& folder, const std::string& restore_dir) {
    testing::internal::CaptureStderr();
    ModelTokenizer::read({{"dir", folder}, {"type", "bpe"}}, "model.tokenizer", restore_dir);
    return testing::internal::GetCapturedStderr();
  };
  const TemporaryFolder bare;
  bare.write("tokenizer.model", read_file(kTokenizers + "/char.model"));
  EXPECT_NE(log_of(bare.path(), "").find("vocab.txt"), std::string::npos);
  EXPECT_EQ(log_of("", bare.path()), "") << "what is in a file cannot be helped any more";
  bare.write("vocab.txt", "a\n");
  EXPECT_EQ(log_of(bare.path(), ""), "");
}

TEST_F(CtcBpeModelTest, TranscriptsBecomePiecesWithMarksWhereTheTokenizerHasThem) {
  const auto batch = [](const ModelHandle& model, const Json& more) {
    Json section = {{"manifest_filepath", test_data::digits("test.json")}, {"max_utts", 2}};
    for (const auto& [key, value] : more.items()) section[key] = value;
    const DatasetHandle data = model.make_dataset(Stage::kTrain, section, "model.train_ds");
    std::vector<DatasetHandle::Sample> samples;
    samples.push_back(data.get(0, 0));
    return data.collate(samples).tensor("transcripts");
  };
  const ModelHandle digits = make(config_of(kTokenizers + "/digits"));
  const auto tokens = batch(digits, Json::object());  // "zero"
  EXPECT_TRUE(tokens.equal(at::tensor({16, 31, 8, 20}, at::kLong).unsqueeze(0))) << tokens;

  const TemporaryFolder folder;
  folder.write("tokenizer.model", read_file(kTokenizers + "/char.model"));
  const ModelHandle marked = make(config_of(folder.path()));  // beginning 1, end 2
  const auto with = batch(marked, Json::object()), without = batch(marked, {{"use_start_end_token", false}});
  EXPECT_EQ(with.size(1), without.size(1) + 2);
  EXPECT_EQ(with[0][0].item<int64_t>(), 1);
  EXPECT_EQ(with[0][-1].item<int64_t>(), 2);
}

TEST(CtcBpeDecoding, WordsBeginWhereTheTokenizerSays) {
  const auto pieces = text::SentencePieceTokenizer::open(kTokenizers + "/digits/tokenizer.model");
  const auto words = words_of(pieces->text_to_ids("zero one"), text::Vocabulary(pieces), " ");
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[0].text, "zero");
  EXPECT_EQ(words[1].text, "one");

  const auto word_pieces = std::make_shared<const text::WordPieceTokenizer>(
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nze\n##ro\none\n", "vocab.txt", text::WordPieceTokenizer::Config{});
  const auto cut = words_of({6, 5, 6, 7}, text::Vocabulary(word_pieces), " ");
  ASSERT_EQ(cut.size(), 3u);
  EXPECT_EQ(cut[0].text, "##ro");
  EXPECT_EQ(cut[1].text, "zero");
  EXPECT_EQ(cut[2].text, "one");
}

TEST_F(CtcBpeModelTest, IsSavedAndRestoredWithItsTokenizer) {
  const ModelHandle model = make(config_of(kTokenizers + "/digits"));
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.nemo", again = folder.path() + "/b.nemo";
  save_nemo(model, path);
  const RestoredModel restored = restore_nemo(path);
  const Json section = restored.model.config()["tokenizer"];
  EXPECT_TRUE(section["model_path"].get<std::string>().starts_with("nemo:"));
  EXPECT_EQ(restored.model.artifacts().size(), 3u);
  save_nemo(restored.model, again);  // artifacts keep the names they have
  EXPECT_EQ(restore_nemo(again).model.config()["tokenizer"], section);
  EXPECT_NE(checkpoint::NemoArchive::open(again).find(section["model_path"].get<std::string>().substr(5)), nullptr);
}

TEST_F(CtcBpeModelTest, AnotherTokenizerReplacesWhatDependsOnIt) {
  const ModelHandle model = make(config_of(kTokenizers + "/digits"));
  const TemporaryFolder folder;
  folder.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nze\n##ro\n");
  replace_tokenizer(model.object(), {{"dir", folder.path()}, {"type", "wpe"}});
  EXPECT_EQ(model.config()["decoder"]["num_classes"], 7);
  EXPECT_EQ(model.config()["tokenizer"]["type"], "wpe");
  EXPECT_EQ(model.artifacts().size(), 1u);
  const Values out = model.forward(model.input_example());
  EXPECT_EQ(out.tensor("log_probs").size(2), 8);
  EXPECT_THROW(replace_tokenizer(model.object(), {{"dir", "/no/such"}, {"type", "bpe"}}), Error);
  EXPECT_EQ(model.config()["decoder"]["num_classes"], 7) << "as it was";
  EXPECT_THROW(change_vocabulary(model.object(), {"a"}), Error);
}

}  // namespace
}  // namespace fathom::asr
