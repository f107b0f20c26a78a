#include "core/inference/word_errors.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(WordErrors, SubstitutionsInsertionsDeletions) {
  EXPECT_EQ(word_errors("one two three", "one too three").errors, 1);
  EXPECT_EQ(word_errors("one two three", "one three").errors, 1);
  EXPECT_EQ(word_errors("one", "one two three").errors, 2);
  EXPECT_EQ(word_errors("", "one").length, 0);
  EXPECT_EQ(word_errors("one  two", "one two").errors, 0) << "runs of blanks are one";
}

TEST(CharacterErrors, CountsCodePoints) {
  const EditCounts counts = character_errors("gr\xc3\xbc\xc3\x9f", "grus");
  EXPECT_EQ(counts.length, 4);
  EXPECT_EQ(counts.errors, 2);
}

}  // namespace
}  // namespace fathom
