#include "plugins/lib/text/word_piece_tokenizer.h"

#include <gtest/gtest.h>

#include "fathom/error.h"

namespace fathom::text {
namespace {

using Texts = std::vector<std::string>;
constexpr std::string_view kVocabulary =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\nfast\nest\n.\n\u4e2d\ncafe\n##e";

WordPieceTokenizer make(bool lower = false, std::string_view vocabulary = kVocabulary) {
  WordPieceTokenizer::Config config;
  config.do_lower_case = lower;
  return {vocabulary, "vocab.txt", config};
}

TEST(WordPieceTokenizer, CutsWordsIntoTheLongestPieces) {
  const auto tokenizer = make();
  EXPECT_EQ(tokenizer.text_to_tokens("unaffable fast."), (Texts{"un", "##aff", "##able", "fast", "."}));
  EXPECT_EQ(tokenizer.text_to_ids("unaffable"), (std::vector<int64_t>{5, 6, 7}));
  EXPECT_EQ(tokenizer.text_to_tokens("fastest"), (Texts{"[UNK]"})) << "'est' does not go on with a word";
  EXPECT_EQ(tokenizer.text_to_tokens("[MASK]fast\u4e2dfast"), (Texts{"[MASK]", "fast", "\u4e2d", "fast"}));
  EXPECT_EQ(tokenizer.text_to_tokens(std::string(101, 'u')), (Texts{"[UNK]"}));
  EXPECT_EQ(tokenizer.text_to_tokens("fa\u200bst\u00a0fast\ufffd"), (Texts{"fast", "fast"}));
  EXPECT_EQ(tokenizer.text_to_tokens("Fast"), (Texts{"[UNK]"}));
  EXPECT_TRUE(tokenizer.text_to_tokens(" \n").empty());
}

TEST(WordPieceTokenizer, LowerCaseStripsAccents) {
  EXPECT_EQ(make(true).text_to_tokens("CAF\u00c9 Fast"), (Texts{"cafe", "fast"}));
  EXPECT_EQ(make(true).basic_words("\u00c5ngstr\u00f6m \u0130x"), (Texts{"angstrom", "ix"}));
  EXPECT_EQ(make().basic_words("Cafe\u0301"), (Texts{"Caf\u00e9"})) << "composed";
}

TEST(WordPieceTokenizer, JoinsPiecesAndLeavesSpecialTokensOut) {
  const auto tokenizer = make();
  EXPECT_EQ(tokenizer.ids_to_text({2, 5, 6, 7, 1, 8, 3, 0}), "unaffable fast");
  EXPECT_EQ(tokenizer.ids_to_text({6, 8}), "##aff fast");
  EXPECT_EQ(tokenizer.ids_to_text({}), "");
  EXPECT_THROW(tokenizer.ids_to_text({99}), Error);
  EXPECT_TRUE(tokenizer.starts_word(5));
  EXPECT_FALSE(tokenizer.starts_word(6));
}

TEST(WordPieceTokenizer, SpecialTokensThatAreMissingComeLast) {
  const auto tokenizer = make(false, "a\r\n[PAD]\r\n");
  EXPECT_EQ(tokenizer.vocab_size(), 6);
  EXPECT_EQ(tokenizer.special_ids().pad, 1);
  EXPECT_EQ(tokenizer.special_ids().unk, 2);
  EXPECT_EQ(tokenizer.text_to_ids("a b"), (std::vector<int64_t>{0, 2}));
  EXPECT_THROW(make(false, ""), Error);
  EXPECT_THROW(WordPieceTokenizer::open("/no/such/vocab.txt"), Error);
}

TEST(Unicode, ComposesAndDecomposes) {
  const CodePoints composed = {0xc5, 0xac01, 0x1e69}, apart = {'A', 0x30a, 0x1100, 0x1161, 0x11a8, 's', 0x323, 0x307};
  EXPECT_EQ(to_nfd(composed), apart);
  EXPECT_EQ(to_nfc(apart), composed);
  EXPECT_EQ(to_nfc({'a', 0x301, 0x323}), (CodePoints{0x1ea1, 0x301})) << "marks are put in order";
  EXPECT_EQ(to_nfc({0x958}), (CodePoints{0x915, 0x93c})) << "some are never composed";
  EXPECT_TRUE(is_control(0x200d) && is_space_separator(0x3000) && is_nonspacing_mark(0x301));
  EXPECT_FALSE(is_control('a') || is_space_separator('\n') || is_nonspacing_mark('a'));
}

}  // namespace
}  // namespace fathom::text
