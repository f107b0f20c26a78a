#include "core/base/text.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsAndSubstitutions) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("same", "same"), 0u);
}

TEST(NearestNames, BestFirstAndNothingFar) {
  const std::vector<std::string> known = {"novograd", "adamw", "adam", "sgd"};
  EXPECT_EQ(nearest_names("adanw", known), (std::vector<std::string>{"adamw", "adam"}));
  EXPECT_TRUE(nearest_names("CosineAnnealing", known).empty());
}

TEST(Utf8, AcceptsWellFormedAndRefusesTheRest) {
  EXPECT_TRUE(is_valid_utf8("gr\xc3\xbc\xc3\x9f"));
  EXPECT_TRUE(is_valid_utf8("\xf0\x9f\x8e\x99"));
  EXPECT_FALSE(is_valid_utf8("\xc3"));          // cut short
  EXPECT_FALSE(is_valid_utf8("\xc0\xaf"));      // overlong
  EXPECT_FALSE(is_valid_utf8("\xed\xa0\x80"));  // surrogate
  EXPECT_FALSE(is_valid_utf8("\xff"));
}

TEST(Split, KeepsEmptyParts) { EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"})); }

TEST(Trim, BothEnds) { EXPECT_EQ(trim("  x y\t\n"), "x y"); }

}  // namespace
}  // namespace fathom
