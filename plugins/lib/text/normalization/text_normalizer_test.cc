#include "plugins/lib/text/normalization/text_normalizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "fathom/error.h"

namespace fathom::text {
namespace {

std::string lj(std::string_view text) { return TextNormalizer(kLjSpeechStyle).normalize(text); }
std::string nemo(std::string_view text) { return TextNormalizer(kNemoStyle).normalize(text); }

struct Said {
  const char *written, *spoken;
};

void expect_all(const SpeechStyle& style, std::initializer_list<Said> cases) {
  const TextNormalizer normalizer(style);
  for (const auto& [written, spoken] : cases) EXPECT_EQ(normalizer.normalize(written), spoken) << written;
}

TEST(TextNormalizer, WordsAndPunctuationStay) {
  for (const char* text : {"", "  ", "Nothing here, is there?", "naïve café — “so” it’s", "I. The end.", "a.b, c;d",
                           "He said: \"no.\"", "mix of CIVIL and MIX", "x\ty\n", "日本語"}) {
    EXPECT_EQ(lj(text), text);
  }
}

TEST(TextNormalizer, LjSpeechConventions) {
  expect_all(kLjSpeechStyle,
             {
                 {"On January 30, 1962, at 12:30 p.m.", "On January thirty, nineteen sixty-two, at twelve:thirty p.m."},
                 {"£4000, £81,791 and $21.45.",
                  "four thousand pounds, eighty-one thousand, seven hundred ninety-one pounds and "
                  "twenty-one dollars, forty-five cents."},
                 {"the 27th George II the", "the twenty-seventh George the second the"},
                 {"the 9th George IV. cap. 31,", "the ninth George the fourth cap. thirty-one,"},
                 {"Exhibit No. 133-A, page 249", "Exhibit Number one thirty-three A, page two forty-nine"},
                 {"Post Office Box 2915, Dallas", "Post Office Box two nine one five, Dallas"},
                 {"serial number VC836,", "serial number V C eight three six,"},
                 {"a .38-caliber 6.5-millimeter", "a thirty-eight-caliber six point five-millimeter"},
                 {"at 602 Elsbeth Street, 500 North", "at six oh two Elsbeth Street, five hundred North"},
                 {"in 605, Nabopolassar; in 100 extra; 484 B.C.",
                  "in six oh five, Nabopolassar; in one hundred extra; four "
                  "eighty-four B.C."},
                 {"contained 1308 prisoners in 1835",
                  "contained one thousand three hundred eight prisoners in eighteen thirty-five"},
                 {"Smith & Wesson, an IQ of 118", "Smith and Wesson, an I.Q. of one eighteen"},
                 {"November 22, '63", "November twenty-two, 'sixty-three"},
                 {"he said \"Age 28\" and", "he said \"Age twenty-eight\" and"},
             });
}

TEST(TextNormalizer, NemoConventions) {
  expect_all(
      kNemoStyle,
      {
          {"Jan. 3, 1999", "january third, nineteen ninety nine"},
          {"3 January 1999", "the third of january nineteen ninety nine"},
          {"the 3rd of January", "the third of January"},
          {"1999-01-03 or 01/03/1999", "january third nineteen ninety nine or january third nineteen ninety nine"},
          {"the 1990s, the '90s", "the nineteen nineties, the nineties"},
          {"$2.50, $1.01, $0.99", "two dollars fifty cents, one dollar one cent, ninety nine cents"},
          {"$1.5 million, £5.50", "one point five million dollars, five pounds fifty pence"},
          {"at 2:30pm, 14:05, 2:00, 02:00:15",
           "at two thirty PM, fourteen o five, two o'clock, two hours zero minutes and "
           "fifteen seconds"},
          {"1,001 and 123 of 12345",
           "one thousand and one and one hundred and twenty three of one two three four five"},
          {"3/4 or 2 1/2", "three quarters or two and a half"},
          {"10-12 km at 32°C, 5.5%", "ten to twelve kilometers at thirty two degrees Celsius, five point five percent"},
          {"(555) 010-0000", "five five five, zero one zero, zero zero zero zero"},
          {"1-800-555-0100", "one, eight hundred, five five five, zero one zero zero"},
          {"127.0.0.1", "one two seven dot zero dot zero dot one"},
          {"john.doe@example.com", "john dot doe at example dot com"},
          {"C3PO, B2B, F-16", "C three PO, B two B, F-sixteen"},
          {"Mr. Smith vs. Dr. Jones, etc.", "mister Smith versus doctor Jones, etcetera."},
          {"St. Mary in the U.S.A.", "Saint Mary in the USA"},
          {"-5.5 and .5", "minus five point five and point five"},
          {"the 101st", "the one hundred first"},
      });
}

TEST(TextNormalizer, BetterThanItsPeer) {  // what nemo_text_processing leaves or reads as letters
  expect_all(kNemoStyle, {
                             {"Chapter IV, Henry VIII, World War II", "Chapter four, Henry the eighth, World War two"},
                             {"24/7, 9/11, 50/50", "twenty four seven, nine eleven, fifty fifty"},
                             {"pages 10-12, 16:9", "pages ten to twelve, sixteen to nine"},
                             {"$12k, C$5, ₹100, 5¢",
                              "twelve thousand dollars, five Canadian dollars, one hundred rupees, five cents"},
                             {"60 km/h, 5 kHz, 16 GB", "sixty kilometers per hour, five kilohertz, sixteen gigabytes"},
                             {"No. 5, #5", "Number five, number five"},
                             {"555-1234, +1 212 555 1234",
                              "five five five, one two three four, plus one, two one two, five five five, one two "
                              "three four"},
                             {"the 2020s, ±5, ½", "the twenty twenties, plus or minus five, one half"},
                             {"5'10\" tall", "five feet ten inches tall"},
                             {"https://a.org/b_c", "HTTPS colon slash slash A dot org slash B underscore C"},
                         });
}

TEST(TextNormalizer, LowerCasedTexts) {
  SpeechStyle style = kNemoStyle;
  EXPECT_EQ(TextNormalizer(style).normalize("january 5, mr. smith"), "january five, mr. smith");
  style.any_case = true;
  EXPECT_EQ(TextNormalizer(style).normalize("january 5, mr. smith"), "january fifth, mister smith");
}

TEST(TextNormalizer, AWhitelistComesFirst) {
  const TextNormalizer normalizer(kNemoStyle, {{"5G", "five gee"}, {"Dr.", "drive"}, {"Dr. No", "doctor no"}});
  EXPECT_EQ(normalizer.normalize("5G, 5Gs, Dr. No, Elm Dr."), "five gee, five Gs, doctor no, Elm drive");
  const std::string path = testing::TempDir() + "/whitelist.tsv";
  std::ofstream(path) << "a\tb\n\nbad\n";
  try {
    read_whitelist(path);
    FAIL() << "a line without a tab was taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path + ":3"), std::string::npos) << std::string(error.what());
  }
}

// Of the lines that people wrote down for LJSpeech, 95 in 100 at least are the same; the rules did not see these.
TEST(TextNormalizer, LjSpeechTranscripts) {
  std::ifstream file(FATHOM_SOURCE_DIR "/tests/data/lj_text_normalization/test.tsv");
  ASSERT_TRUE(file);
  int same = 0, all = 0;
  for (std::string line; std::getline(file, line); ++all) {
    const size_t tab = line.find('\t');
    ASSERT_NE(tab, std::string::npos) << line;
    same += lj(line.substr(0, tab)) == line.substr(tab + 1) ? 1 : 0;
  }
  EXPECT_EQ(all, 184);
  EXPECT_GE(same, 179) << "of " << all;  // 97.3 %
}

// Nothing a stranger writes may cost more than its length.
TEST(TextNormalizer, HostileTextsCostTheirLengthAlone) {
  const auto repeated = [](std::string_view part, size_t bytes) {
    std::string out;
    while (out.size() < bytes) out += part;
    return out;
  };
  for (const char* part : {"1,111",
                           "1.1.",
                           "a.",
                           "A.",
                           "5\" ",
                           "1-",
                           "(1)",
                           "9",
                           "@a.b",
                           "1/1 ",
                           "'",
                           "$",
                           "1:11:",
                           "é1",
                           "\xff"
                           "1",
                           "January ",
                           "No. ",
                           "1 1 1-",
                           "http://",
                           "IIII ",
                           "½",
                           "-5",
                           "1° "}) {
    // The best of five, so that a busy machine does not count.
    const auto seconds = [&](size_t bytes) {
      const std::string text = repeated(part, bytes);
      double best = 1e9;
      for (int i = 0; i < 5; ++i) {
        const auto start = std::chrono::steady_clock::now();
        EXPECT_GT(lj(text).size() + nemo(text).size(), 0u);
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      }
      return best;
    };
    // Sixteen times the text: a square would cost 256 times as much.
    EXPECT_LT(seconds(160000), 64 * seconds(10000)) << part;
  }
}

TEST(TextNormalizer, NumbersInWords) {
  expect_all(kLjSpeechStyle,
             {
                 {"1000000 or 1,000,000", "one million or one million"},
                 {"123456789012345678901234567890123456",
                  "one two three four five six seven eight nine zero one two three four five "
                  "six seven eight nine zero one two three four five six seven eight nine "
                  "zero one two three four five six"},
                 {"12,345,678", "twelve million, three hundred forty-five thousand, six hundred seventy-eight"},
                 {"007, 0, 00", "zero zero seven, zero, zero zero"},
                 {"the 12th, 20th, 23rd, 100th and 1001st",
                  "the twelfth, twentieth, twenty-third, one hundredth and one thousand "
                  "first"},
                 {"v1.2, 1.2.3", "v one point two, one point two point three"},
                 {"$1,500 and 1,300 persons", "fifteen hundred dollars and thirteen hundred persons"},
             });
}

}  // namespace
}  // namespace fathom::text
