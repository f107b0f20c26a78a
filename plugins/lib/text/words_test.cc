#include "plugins/lib/text/words.h"

#include <gtest/gtest.h>

#include "plugins/lib/text/edit_distance.h"
#include "plugins/lib/text/vocabulary.h"

namespace fathom::text {
namespace {

TEST(Words, SplitsAtUnicodesWhiteSpace) {
  EXPECT_EQ(split_words("a\u3000b\u00a0c"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(split_words("  one \t two\n"), (std::vector<std::string>{"one", "two"}));
  EXPECT_TRUE(split_words(" ").empty());
}

TEST(Words, CountsCodePointsOfDamagedTextToo) {
  EXPECT_EQ(code_points("日本").size(), 2u);
  EXPECT_EQ(code_points("a\xff\xc3").size(), 3u) << "counted, not dropped";
}

TEST(Vocabulary, RemovesOneBlankBeforeEachMarkItKnows) {
  const auto text = [](std::vector<std::string> tokens, std::vector<int64_t> ids) {
    return Vocabulary(std::move(tokens), Vocabulary::Kind::kCharacters).decode_text(ids);
  };
  EXPECT_EQ(text({" ", "o", "'", "m"}, {1, 0, 2, 3}), "o'm") << "any mark, not only those that end a sentence";
  EXPECT_EQ(text({" ", "a", "."}, {1, 0, 0, 2, 0, 2}), "a ..") << "one blank, not all of them";
  EXPECT_EQ(text({" ", "a", "\u3002", "\u3000"}, {1, 3, 2}), "a\u3002");
  EXPECT_EQ(text({" ", "a", "<.>"}, {1, 0, 2}), "a <.>") << "a special token is no punctuation";
  EXPECT_EQ(text({" ", "a", "+"}, {1, 0, 2}), "a +");
}

TEST(EditDistance, CountsAndNamesEdits) {
  const auto chars = [](std::string_view text) { return code_points(text); };
  EXPECT_EQ(edit_distance(chars("kitten"), chars("sitting")), 3);
  EXPECT_EQ(edit_distance(chars(""), chars("abc")), 3);
  const EditCounts counts = align(chars("kitten"), chars("sitting"));
  EXPECT_EQ(counts.substitutions, 2);
  EXPECT_EQ(counts.insertions, 1);
  EXPECT_EQ(counts.deletions, 0);
  EXPECT_EQ(align(chars("abc"), chars("")).deletions, 3);
}

}  // namespace
}  // namespace fathom::text
