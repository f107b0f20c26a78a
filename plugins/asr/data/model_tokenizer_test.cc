#include "plugins/asr/data/model_tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/file.h"
#include "core/base/temporary_folder.h"

namespace fathom::asr {
namespace {

const std::string kTokenizers = FATHOM_SOURCE_DIR "/tests/data/tokenizers";

// The error's code and text, as one.
std::string refusal(const Json& section, const std::string& restore_dir = "") {
  try {
    ModelTokenizer::read(section, "model.tokenizer", restore_dir);
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
  return "";
}
::testing::AssertionResult says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "'" << part << "' is not in: " << text;
}

TEST(ModelTokenizer, ReadsAFolderAndNotesItsFiles) {
  const auto read = ModelTokenizer::read({{"dir", kTokenizers + "/digits"}, {"type", "BPE"}}, "model.tokenizer");
  EXPECT_EQ(read.tokenizer()->vocab_size(), 32);
  ASSERT_EQ(read.files().size(), 3u);
  EXPECT_EQ(read.files()[0].first, "model_path");
  EXPECT_EQ(read.section()["type"], "bpe");
  EXPECT_EQ(read.section()["spe_tokenizer_vocab"], kTokenizers + "/digits/tokenizer.vocab");

  const TemporaryFolder folder;
  folder.write("vocab.txt", "[UNK]\na\n##b\n");
  const auto words = ModelTokenizer::read({{"dir", folder.path()}, {"type", "wpe"}}, "model.tokenizer");
  EXPECT_EQ(words.tokenizer()->text_to_tokens("ab"), (std::vector<std::string>{"a", "##b"}));
  EXPECT_EQ(words.files().size(), 1u);
}

TEST(ModelTokenizer, SeveralLanguagesAreOneTokenizer) {
  const Json section = {{"type", "agg"},
                        {"langs",
                         {{"spl_tokens", {{"dir", kTokenizers + "/canary_special"}, {"type", "bpe"}}},
                          {"en", {{"dir", kTokenizers + "/digits"}, {"type", "bpe"}}}}},
                        {"custom_tokenizer", {{"_target_", "asr.CanaryTokenizer"}, {"tokenizers", nullptr}}}};
  const auto read = ModelTokenizer::read(section, "model.tokenizer");
  EXPECT_EQ(read.tokenizer()->vocab_size(), 26 + 32);
  EXPECT_EQ(read.tokenizer()->special_ids().eos, 3);
  ASSERT_EQ(read.files().size(), 6u);
  EXPECT_EQ(read.files()[3].first, "langs.en.model_path");
  EXPECT_EQ(read.section()["langs"]["en"]["model_path"], kTokenizers + "/digits/tokenizer.model");
  Json plain = section;
  plain.erase("custom_tokenizer");
  EXPECT_EQ(ModelTokenizer::read(plain, "model.tokenizer").tokenizer()->special_ids().eos, -1);
}

TEST(ModelTokenizer, FilesOfAnArchiveKeepTheirNames) {
  const TemporaryFolder archive;
  archive.write("0123_tokenizer.model", read_file(kTokenizers + "/char.model"));
  archive.write("vocab.txt", "a");
  const Json section = {{"dir", "/where/it/was"},
                        {"type", "bpe"},
                        {"model_path", "nemo:0123_tokenizer.model"},
                        {"vocab_path", "/where/it/was/vocab.txt"}};
  const auto read = ModelTokenizer::read(section, "tokenizer", archive.path());
  EXPECT_EQ(read.section()["model_path"], "nemo:0123_tokenizer.model");
  EXPECT_EQ(read.section()["vocab_path"], "nemo:vocab.txt") << "as old archives have it";
  EXPECT_FALSE(read.section().contains("spe_tokenizer_vocab"));
  EXPECT_EQ(read.files()[1].second, archive.path() + "/vocab.txt");

  const TemporaryFolder bare;
  bare.write("tokenizer.model", read_file(kTokenizers + "/char.model"));
  EXPECT_EQ(ModelTokenizer::read({{"type", "bpe"}}, "tokenizer", bare.path()).section()["model_path"],
            "nemo:tokenizer.model");
}

TEST(ModelTokenizer, SaysWhatIsWrongAndWhere) {
  EXPECT_TRUE(says(refusal(nullptr), "{dir, type}"));
  EXPECT_TRUE(says(refusal({{"dir", "x"}}), "model.tokenizer.type"));
  EXPECT_TRUE(says(refusal({{"dir", "x"}, {"type", "agg"}}), "model.tokenizer.langs"));
  const Json digits = {{"dir", kTokenizers + "/digits"}, {"type", "bpe"}};
  EXPECT_TRUE(says(refusal({{"type", "agg"}, {"langs", {{"en", {{"dir", "x"}, {"type", "agg"}}}}}}),
                   "model.tokenizer.langs.en.type"));
  EXPECT_TRUE(says(refusal({{"type", "agg"}, {"langs", {{"en", {{"dir", "/no/folder"}, {"type", "bpe"}}}}}}),
                   "model.tokenizer.langs.en.dir"));
  const Json canary = {{"_target_", "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer"}};
  EXPECT_TRUE(
      says(refusal({{"type", "agg"}, {"langs", {{"en", digits}}}, {"custom_tokenizer", canary}}), "spl_tokens"));
  Json single = digits;
  single["custom_tokenizer"] = canary;
  EXPECT_TRUE(says(refusal(single), "CanaryBPETokenizer"));
  EXPECT_TRUE(says(refusal({{"type", "bpe"}}), "model.tokenizer.dir"));
  EXPECT_TRUE(says(refusal({{"dir", "/no/folder"}, {"type", "bpe"}}), "/no/folder/tokenizer.model"));
  EXPECT_TRUE(says(refusal({{"dir", 3}, {"type", "bpe"}}), "model.tokenizer.dir"));
  EXPECT_TRUE(says(refusal({{"dirr", "x"}, {"type", "bpe"}}), "did you mean: dir"));
  EXPECT_TRUE(says(refusal({{"dir", "x"}, {"type", "bpe"}, {"special_tokens", {{"pad", "<p>"}}}}), "special_tokens"));
  // An archive's config names no file outside the archive.
  const TemporaryFolder archive;
  for (const char* name : {"nemo:../secret", "nemo:/etc/passwd", "nemo:"})
    EXPECT_TRUE(says(refusal({{"type", "bpe"}, {"model_path", name}}, archive.path()), "65 ")) << name;
  EXPECT_TRUE(says(refusal({{"type", "bpe"}, {"model_path", "nemo:gone"}}, archive.path()), "65 "));
}

}  // namespace
}  // namespace fathom::asr
