#include "plugins/asr/decoding/written_text.h"

#include <gtest/gtest.h>

namespace fathom::asr {
namespace {

Json words_of(const std::vector<std::string>& words) {
  Json out = Json::array();
  for (size_t i = 0; i < words.size(); ++i) {
    out.push_back({{"word", words[i]},
                   {"start_offset", 10 * i},
                   {"end_offset", 10 * i + 8},
                   {"start", static_cast<double>(i)},
                   {"end", static_cast<double>(i) + 0.5}});
  }
  return {{"word", out}};
}

TEST(WrittenText, PartsHaveTheTimesOfTheirWords) {
  Json timestamps = words_of({"it", "costs", "twenty", "three", "dollars", "today"});
  const Json spoken = timestamps["word"];
  EXPECT_EQ(written_text("it costs twenty three dollars today", timestamps), "it costs $23 today");
  EXPECT_EQ(timestamps["word"], spoken) << "those of what was said stay";
  const Json& written = timestamps["written"];
  ASSERT_EQ(written.size(), 4U);
  EXPECT_EQ(written[1],
            (Json{{"written", "costs"}, {"start_offset", 10}, {"end_offset", 18}, {"start", 1.0}, {"end", 1.5}}));
  EXPECT_EQ(written[2],
            (Json{{"written", "$23"}, {"start_offset", 20}, {"end_offset", 48}, {"start", 2.0}, {"end", 4.5}}));
  EXPECT_EQ(written[3]["start_offset"], 50);
}

TEST(WrittenText, AWordOfTheTimesMayBeSeveralOfTheText) {
  Json timestamps = words_of({"twenty!", "cats"});
  EXPECT_EQ(written_text("twenty ! cats", timestamps), "20 ! cats");
  ASSERT_EQ(timestamps["written"].size(), 3U);
  EXPECT_EQ(timestamps["written"][1]["start_offset"], 0);
  EXPECT_EQ(timestamps["written"][2]["start_offset"], 10);
}

TEST(WrittenText, CapitalsAndNothing) {
  Json none;
  EXPECT_EQ(written_text("Twenty three cats met Doctor Who.", none), "23 cats met Dr. Who.");
  EXPECT_TRUE(none.is_null());
  EXPECT_EQ(written_text("", none), "");
  Json empty = words_of({});
  EXPECT_EQ(written_text("", empty), "");
  EXPECT_EQ(empty["written"], Json::array());
}

}  // namespace
}  // namespace fathom::asr
