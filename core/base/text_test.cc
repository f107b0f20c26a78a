#include "core/base/text.h"

#include <gtest/gtest.h>

#include "fathom/json.h"

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

// In nlohmann's own build the first is an assertion, or in a release build no check at all.
TEST(Json, WhatIsNotThereIsAnErrorInEveryBuild) {
  const Json map = {{"a", 1}};
  EXPECT_THROW(map["b"].size(), std::logic_error);
  EXPECT_THROW(map["b"]["c"].size(), std::logic_error);
  const nlohmann::json other = {{"a", 1}};
  EXPECT_THROW(other["b"].size(), std::logic_error);
}

TEST(Trim, BothEnds) { EXPECT_EQ(trim("  x y\t\n"), "x y"); }

}  // namespace
}  // namespace fathom
