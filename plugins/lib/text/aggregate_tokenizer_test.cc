#include "plugins/lib/text/aggregate_tokenizer.h"

#include <gmock/gmock.h>

#include "fathom/error.h"

namespace fathom::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Type = SentencePieceModel::Type;

// Characters and the mark of a space; `symbols` are found whole.
std::shared_ptr<const SentencePieceTokenizer> characters(const std::string& letters,
                                                         const std::vector<std::string>& symbols = {}) {
  SentencePieceModel model;
  model.algorithm = SentencePieceModel::Algorithm::kChar;
  model.pieces.push_back({"<unk>", 0, Type::kUnknown});
  for (const auto& symbol : symbols) model.pieces.push_back({symbol, 0, Type::kUserDefined});
  model.pieces.push_back({"\u2581", 0, Type::kNormal});
  for (const char letter : letters) model.pieces.push_back({std::string(1, letter), 0, Type::kNormal});
  return std::make_shared<SentencePieceTokenizer>(std::move(model), "a.model");
}

const std::vector<std::string> kSymbols = {"<|nospeech|>", "<pad>",  "<|endoftext|>", "<|startoftranscript|>",
                                           "<|pnc|>",      "<|en|>", "<|sv|>",        "<|startofcontext|>",
                                           "<|emo:sad|>",  "<|0|>",  "<|12|>"};

std::vector<AggregateTokenizer::Part> parts(const std::string& english = "en") {
  return {{"spl_tokens", characters("", kSymbols)}, {english, characters("ab")}, {"sv", characters("ac")}};
}

template <typename Run>
std::string complaint_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(AggregateTokenizer, PutsTheIdsOfEachLanguageAfterThoseBefore) {
  const AggregateTokenizer tokenizer({{"en", characters("ab")}, {"sv", characters("ac")}});
  EXPECT_EQ(tokenizer.vocab_size(), 8);
  EXPECT_THAT(tokenizer.text_to_ids_in("a b", "en"), ElementsAre(1, 2, 1, 3));
  EXPECT_THAT(tokenizer.text_to_ids_in("ac", "sv"), ElementsAre(5, 6, 7));
  EXPECT_EQ(tokenizer.ids_to_text({1, 2, 3, 5, 6, 7}), " ab ac");  // the first space stays, as in NeMo
  EXPECT_EQ(tokenizer.id_to_token(7), "c");
  EXPECT_TRUE(tokenizer.starts_word(5));
  EXPECT_EQ(tokenizer.special_ids().bos, -1);
}

TEST(AggregateTokenizer, SaysWhichLanguagesThereAre) {
  const AggregateTokenizer tokenizer({{"en", characters("ab")}, {"sv", characters("ac")}});
  EXPECT_THAT(complaint_of([&] { tokenizer.text_to_ids_in("a", "se"); }), HasSubstr("one of: en, sv"));
  EXPECT_THAT(complaint_of([&] { tokenizer.text_to_ids("a"); }), HasSubstr("needs the language"));
  EXPECT_THAT(complaint_of([&] { tokenizer.id_to_token(8); }), HasSubstr("0 to 7"));
}

TEST(CanaryTokenizer, CutsAPromptIntoItsSpecialTokens) {
  const CanaryTokenizer tokenizer(parts());
  EXPECT_THAT(tokenizer.text_to_ids_in("<|startoftranscript|><|en|><|sv|><|pnc|>", "spl_tokens"),
              ElementsAre(4, 6, 7, 5));
  EXPECT_EQ(tokenizer.special_ids().eos, 3);
  EXPECT_EQ(tokenizer.special_ids().pad, 2);
  EXPECT_THAT(complaint_of([&] { tokenizer.text_to_ids_in("<|en|><|de|>", "spl_tokens"); }), HasSubstr("<|de|>"));
  EXPECT_THAT(complaint_of([&] { tokenizer.text_to_ids_in("<|en|>x", "spl_tokens"); }), HasSubstr("x"));
}

TEST(CanaryTokenizer, CutsTheContextOfAPromptInTheTargetLanguage) {
  const CanaryTokenizer tokenizer(parts());
  const std::string rest = "<|startoftranscript|><|emo:sad|><|en|><|sv|>";
  EXPECT_THAT(tokenizer.text_to_ids_in("<|startofcontext|>" + rest, "spl_tokens"), ElementsAre(8, 4, 9, 6, 7));
  // 13 special pieces (with the unknown one and the space), 4 of English, then Swedish: 17 unknown, 18 space, 19 a, 20
  // c.
  EXPECT_THAT(tokenizer.text_to_ids_in("<|startofcontext|>ca" + rest, "spl_tokens"),
              ElementsAre(8, 18, 20, 19, 4, 9, 6, 7));
}

TEST(CanaryTokenizer, EndsAnAnswerAndPutsTimesBetweenWords) {
  const CanaryTokenizer tokenizer(parts());
  EXPECT_THAT(tokenizer.text_to_ids_in("ab<|endoftext|>", "en"), ElementsAre(14, 15, 16, 3));
  EXPECT_THAT(tokenizer.text_to_ids_in("<|0|> a<|12|> <|0|> b<|12|><|endoftext|>", "en"),
              ElementsAre(10, 14, 15, 11, 10, 14, 16, 11, 3));
  EXPECT_THAT(tokenizer.text_to_ids_in("<|endoftext|>", "en"), ElementsAre(3));
}

TEST(CanaryTokenizer, TakesALanguageForItsRegion) {
  const CanaryTokenizer tokenizer(parts("en-US"));
  EXPECT_THAT(tokenizer.text_to_ids_in("a", "en"), ElementsAre(14, 15));
}

TEST(CanaryTokenizer, NeedsItsSpecialTokens) {
  EXPECT_THAT(complaint_of([] { CanaryTokenizer({{"en", characters("ab")}}); }), HasSubstr("spl_tokens"));
  EXPECT_THAT(complaint_of([] { CanaryTokenizer({{"spl_tokens", characters("ab", {"<pad>"})}}); }),
              HasSubstr("<|startoftranscript|>"));
}

TEST(CanaryBPETokenizer, TakesItsEndsFromTheSpecialTokens) {
  const CanaryBPETokenizer tokenizer(characters("ab", kSymbols), "a.model");
  EXPECT_EQ(tokenizer.special_ids().bos, 4);
  EXPECT_EQ(tokenizer.special_ids().unk, 0);
  EXPECT_THAT(tokenizer.text_to_ids("<|en|>a<|endoftext|>"),
              ElementsAre(12, 6, 13, 3));  // a space in front, as in NeMo
  EXPECT_THAT(complaint_of([] { CanaryBPETokenizer(characters("ab"), "b.model"); }), HasSubstr("b.model"));
}

}  // namespace
}  // namespace fathom::text
