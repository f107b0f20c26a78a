#include "plugins/lib/text/words.h"

#include <gtest/gtest.h>

#include "plugins/lib/text/edit_distance.h"

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
