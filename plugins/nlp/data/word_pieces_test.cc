#include "plugins/nlp/data/word_pieces.h"

#include <gmock/gmock.h>

#include "plugins/lib/text/word_piece_tokenizer.h"

namespace fathom::nlp {
namespace {

using ::testing::ElementsAre;

TEST(WordPieces, KnowTheirWords) {
  const text::WordPieceTokenizer tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nze\n##ro\none\n", "vocab.txt", {});
  const WordPieces pieces = pieces_of(tokenizer, {"zero", "", "one", "zzz"});
  EXPECT_THAT(pieces.ids, ElementsAre(5, 6, 1, 7, 1));
  EXPECT_THAT(pieces.words, ElementsAre(0, 0, 1, 2, 3));
  EXPECT_TRUE(pieces.is_first(0));
  EXPECT_FALSE(pieces.is_first(1));
  EXPECT_TRUE(pieces.is_first(2));
}

}  // namespace
}  // namespace fathom::nlp
