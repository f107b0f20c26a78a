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

TEST(Split, KeepsEmptyParts) { EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"})); }

TEST(Trim, BothEnds) { EXPECT_EQ(trim("  x y\t\n"), "x y"); }

}  // namespace
}  // namespace fathom
