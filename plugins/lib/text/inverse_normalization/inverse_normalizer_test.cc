#include "plugins/lib/text/inverse_normalization/inverse_normalizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <sstream>

#include "fathom/error.h"

namespace fathom::text {
namespace {

using Cases = std::vector<std::pair<std::string, std::string>>;

void expect_cases(const InverseNormalizer& normalizer, const Cases& cases) {
  for (const auto& [spoken, written] : cases) EXPECT_EQ(normalizer.normalize(spoken), written) << spoken;
}

TEST(InverseNormalizer, WritesWhatThePeerWrites) {
  const InverseNormalizer lower, cased(InputCase::kCased);
  std::ifstream file(FATHOM_SOURCE_DIR "/tests/data/inverse_normalization/recorded.tsv");
  struct Count {
    int all = 0, equal = 0;
    std::string others;
  };
  std::map<std::string, Count> counts;
  std::string line;
  int lines = 0;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string input_case, kind, spoken, written;
    std::getline(fields, input_case, '\t');
    std::getline(fields, kind, '\t');
    std::getline(fields, spoken, '\t');
    std::getline(fields, written);
    const std::string ours = (input_case == "cased" ? cased : lower).normalize(spoken);
    Count& count = counts[input_case + " " + kind];
    ++count.all;
    ++lines;
    if (ours == written)
      ++count.equal;
    else
      count.others += "\n" + spoken + "\n  here " + ours + "\n  peer " + written;
  }
  EXPECT_EQ(lines, 891);
  // Where several ways are equally cheap the peer's order is its own: one of a class at most.
  for (const auto& [kind, count] : counts) {
    const bool may_tie = kind.ends_with("serial") || kind.ends_with("mixed") || kind.ends_with("electronic") ||
                         kind.ends_with("adjacent");
    EXPECT_GE(count.equal, count.all - (may_tie ? 1 : 0)) << kind << count.others;
  }
}

TEST(InverseNormalizer, OneOfEachClass) {
  expect_cases(InverseNormalizer(), {{"twenty three dollars and five cents", "$23.05"},
                                     {"january fifth twenty twelve", "january 5 2012"},
                                     {"the fifth of january two thousand and five", "5 january 2005"},
                                     {"nineteen eighties", "1980s"},
                                     {"five hundred b c", "500BC"},
                                     {"half past two p m e s t", "02:30 p.m. est"},
                                     {"ten minutes to eight a m", "07:50 a.m."},
                                     {"minus twenty one", "-21"},
                                     {"five", "five"},
                                     {"one hundred eleventh", "111th"},
                                     {"twenty second", "22nd"},
                                     {"minus two point five o million", "-2.50 million"},
                                     {"two lakh five", "200005"},
                                     {"one fifty dollars", "$150"},
                                     {"two point five kilometers per hour", "2.5 km/h"},
                                     {"ten square feet", "10 sq ft"},
                                     {"one meters", "one meters"},
                                     {"plus one one two three one two three five six seven eight", "+1 123-123-5678"},
                                     {"two fifty five dot two fifty five dot one dot o", "255.255.1.0"},
                                     {"x y z one", "xyz1"},
                                     {"c d f one at a b c dot e d u", "cdf1@abc.edu"},
                                     {"mister smith met doctor jones", "mr. smith met dr. jones"},
                                     {"d g x a one hundred", "DGX A100"}});
}

// What is meant to differ from the peer's, which writes "HTTPS colon//www.nvidia.com/research", "john.smith at
// yahoo.co.uk" and "c o m".
TEST(InverseNormalizer, AddressesOfTheNet) {
  expect_cases(InverseNormalizer(), {{"h t t p s colon slash slash w w w dot nvidia dot com slash research",
                                      "https://www.nvidia.com/research"},
                                     {"h t t p colon slash slash nvidia dot com", "http://nvidia.com"},
                                     {"john dot smith at yahoo dot co dot uk", "john.smith@yahoo.co.uk"},
                                     {"it is www dot abc dot com slash a dash b", "it is www.abc.com/a-b"}});
  expect_cases(InverseNormalizer(InputCase::kCased), {{"A b c at gmail dot c o m", "Abc@gmail.com"}});
}

TEST(InverseNormalizer, CapitalsCountInCasedTextsOnly) {
  expect_cases(InverseNormalizer(InputCase::kCased), {{"Twenty three cats", "23 cats"},
                                                      {"January fifth", "January 5"},
                                                      {"He saw Doctor Who at Five p m", "He saw Dr. Who at 05:00 p.m."},
                                                      {"Five million Euros", "€5 million"},
                                                      {"BMW and C N N", "BMW and CNN"}});
  expect_cases(InverseNormalizer(),
               {{"Twenty three cats", "Twenty three cats"}, {"January fifth", "January 5th"}, {"Doctor", "Doctor"}});
}

TEST(InverseNormalizer, WhatIsNoExpressionStays) {
  const InverseNormalizer normalizer;
  expect_cases(normalizer, {{"", ""},
                            {"   ", ""},
                            {"it is what it is", "it is what it is"},
                            {" many\t blanks\xC2\xA0here ", "many blanks here"},
                            {"well , . ! ok", "well , . ! ok"},
                            {"p eight onethree", "p eight onethree"},
                            {"na\xC3\xAFve caf\xC3\xA9", "na\xC3\xAFve caf\xC3\xA9"},
                            {"\xFF\xFE twenty one \xC3", "\xFF\xFE 21 \xC3"},
                            {"(twenty) cats, twenty!", "( 20 ) cats, 20 !"}});
}

TEST(InverseNormalizer, PartsAreTheWholeText) {
  const InverseNormalizer normalizer;
  const auto parts = normalizer.parts("we  paid twenty three dollars today");
  ASSERT_EQ(parts.size(), 4U);
  EXPECT_EQ(parts[0].spoken, "we");
  EXPECT_FALSE(parts[1].changed);
  EXPECT_EQ(parts[2].spoken, "twenty three dollars");
  EXPECT_EQ(parts[2].written, "$23");
  EXPECT_TRUE(parts[2].changed);
}

TEST(InverseNormalizer, AWhitelistTakesThePlaceOfTheOwn) {
  const std::string path = testing::TempDir() + "/spoken_whitelist.tsv";
  std::ofstream(path) << "Ph.D.\tp h d\r\n\nN/A\tnot available\t0.5\nfirst\tdup\nlast\tdup\n";
  const InverseNormalizer normalizer(InputCase::kLowerCased, read_spoken_whitelist(path));
  expect_cases(normalizer, {{"her p h d is not available", "her Ph.D. is N/A"}, {"doctor", "doctor"}, {"dup", "last"}});
  for (const char* bad :
       {"one field\n", "ok\tok\n\tspoken\n", "a\t \n", "a\tb\tmuch\n", "a\tb\t1e9\n", "a\tb\tnan\n"}) {
    std::ofstream(path) << bad;
    try {
      read_spoken_whitelist(path);
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadData) << bad;
      EXPECT_TRUE(error.where().starts_with(path + ":")) << error.where();
    }
  }
  EXPECT_THROW(read_spoken_whitelist(path + ".none"), Error);
}

// Ten times the text takes about ten times the time, whatever it is made of; a rule that looked at all of a text would
// need a hundred times as long.
TEST(InverseNormalizer, TimeGrowsWithTheTextAlone) {
  const InverseNormalizer normalizer;
  for (const std::string piece : {"one ", "a dot ", "twenty and ", "one hundred thousand ", "double twenty one ", "!",
                                  "one", "one hundred lakh ", "one dot ", "minus ", "the first of "}) {
    const auto seconds = [&](size_t times) {
      std::string text;
      for (size_t i = 0; i < times; ++i) text += piece;
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_FALSE(normalizer.normalize(text).empty());
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    constexpr size_t kTimes = 1000, kMore = 10;
    constexpr double kMost = 4 * kMore, kNoise = 0.05;
    bool linear = false;
    for (int attempt = 0; attempt < 3 && !linear; ++attempt)  // the machine may be busy
      linear = seconds(kTimes * kMore) < kMost * seconds(kTimes) + kNoise;
    EXPECT_TRUE(linear) << piece;
  }
}

}  // namespace
}  // namespace fathom::text
