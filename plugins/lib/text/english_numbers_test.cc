#include "plugins/lib/text/english_numbers.h"

#include <gtest/gtest.h>

#include <sstream>
#include <utility>
#include <vector>

namespace fathom::text {
namespace {

// What was given, and what inflect 7.6.0 or NeMo 3.0.0 made of it; nothing where they raised.
using NumberCases = std::vector<std::pair<std::string, std::optional<std::string>>>;

std::string or_nothing(const std::optional<std::string>& words) { return words.value_or("(nothing)"); }

TEST(EnglishNumbers, AreSpelledAsInflectSpellsThem) {
  const NumberCases cases = {
      {"0", "zero"},
      {"1", "one"},
      {"007", "seven"},
      {"12", "twelve"},
      {"40", "forty"},
      {"85", "eighty-five"},
      {"100", "one hundred"},
      {"101", "one hundred and one"},
      {"110", "one hundred and ten"},
      {"999", "nine hundred and ninety-nine"},
      {"1000", "one thousand"},
      {"1005", "one thousand and five"},
      {"1,234", "one thousand, two hundred and thirty-four"},
      {"1100", "one thousand, one hundred"},
      {"2248475", "two million, two hundred and forty-eight thousand, four hundred and seventy-five"},
      {"1000000", "one million"},
      {"1005000", "one million, five thousand"},
      {"1000001", "one million and one"},
      {"999999999999",
       "nine hundred and ninety-nine billion, nine hundred and ninety-nine million, nine "
       "hundred and ninety-nine thousand, nine hundred and ninety-nine"},
      {"100000000000000000000000000000000000", "one hundred decillion"},
      {"123456789012345678901234567890123456",
       "one hundred and twenty-three decillion, four hundred and fifty-six nonillion, seven "
       "hundred and eighty-nine octillion, twelve septillion, three hundred and forty-five "
       "sextillion, six hundred and seventy-eight quintillion, nine hundred and one "
       "quadrillion, two hundred and thirty-four trillion, five hundred and sixty-seven "
       "billion, eight hundred and ninety million, one hundred and twenty-three thousand, four "
       "hundred and fifty-six"},
      {"1234567890123456789012345678901234567", std::nullopt},
      {"3.5", "three point five"},
      {"1.05", "one point zero five"},
      {"1234.50", "one thousand, two hundred and thirty-four point five zero"},
      {".5", "point five"},
      {"5.", "five point"},
      {"1.2.3", "one point two three"},
      {"1st", "first"},
      {"2nd", "second"},
      {"3rd", "third"},
      {"4th", "fourth"},
      {"12th", "twelfth"},
      {"20th", "twentieth"},
      {"21st", "twenty-first"},
      {"100th", "one hundredth"},
      {"1000000th", "one millionth"},
      {"0th", "zeroth"},
      {"1.5th", "first point five"},
      {"th", "zero"},
      {"+5", "plus five"},
      {"-3.25", "minus three point two five"},
      {"$5", "five"},
      {"a,b", "zero"},
  };
  for (const auto& [number, expected] : cases) {
    EXPECT_EQ(or_nothing(number_to_words(number)), or_nothing(expected)) << number;
  }
  EXPECT_EQ(number_to_words(""), std::nullopt);
}

TEST(EnglishNumbers, AreFoundInATextAsNemoFindsThem) {
  const NumberCases cases = {
      {"#2248475 and #3711779",
       "# two million, two hundred and forty-eight thousand, four hundred and seventy-five and "
       "# three million, seven hundred and eleven thousand, seven hundred and seventy-nine"},
      {"a 2 248 475 b", "a two million, two hundred and forty-eight thousand, four hundred and seventy-five b"},
      {"a 2 248 475.5, b",
       "a two thousand, two hundred and forty-eight four thousand, seven hundred and fifty-five "
       "b"},
      {"room 100 200! 300", "room one hundred thousand, two hundred ! three hundred"},
      {"12 of 1,234 or 007", "twelve of one thousand, two hundred and thirty-four or seven"},
      {"3:05pm", "three five pm"},
      {"10:00 am", "ten am"},
      {"at 0:30, then 12:15am.", "at zero thirty then twelve fifteen am"},
      {"10:30:45 x", "ten thirty x"},
      {"1999:12", "one thousand, nine hundred and ninety-nine : twelve"},
      {"the 21st, 3rd. and 112th x", "the twenty-first third and one hundred and twelfth x"},
      {"4thx a4th", "fourth a four th"},
      {"$5", "five dollars"},
      {"$ 5", "five dollars"},
      {"$1", "one dollars"},
      {"$5.99 each", "five dollars and ninety-nine cents each"},
      {"$1,234.50", "one thousand, two hundred and thirty-four dollars and fifty cents"},
      {"$ 5.5", "five dollars and five cent"},
      {"$.50", "zero dollars and fifty cents"},
      {"$ .50", std::nullopt},
      {"a$ 5", "a five dollars"},
      {"a1$ 5", "a one $ five"},
      {"$ 3rd", "third"},
      {"$ 2 500.75", "two thousand, five hundred dollars and seventy-five cents"},
      {"usd$5", "usd$ five"},
      {"costs 3.5 or 3,5", "costs three point five or three point five"},
      {".5", "point five"},
      {"1.234", "one thousand, two hundred and thirty-four"},
      {"3.5%", "thirty-five %"},
      {"10%", "ten %"},
      {"a1b2", "a one b two"},
      {"(5.25)", "( five hundred and twenty-five )"},
      {"-5 or -5.25", "- five or minus five point two five"},
      {"1,2,3", "twelve point three"},
      {"a,1 b,,2,", "zero point one b two"},
      {"192.168.0.1", "one million, nine hundred and twenty-one thousand, six hundred and eighty point one"},
      {"1234567890123456789012345678901234567", std::nullopt},
      {"no digits $ here", "no digits $ here"},
  };
  for (const auto& [text, expected] : cases) {
    std::optional<std::string> spelled = spell_out_numbers(text);
    if (spelled) {  // its white space is not tidied
      std::istringstream parts(*spelled);
      spelled->clear();
      for (std::string part; parts >> part;) *spelled += (spelled->empty() ? "" : " ") + part;
    }
    EXPECT_EQ(or_nothing(spelled), or_nothing(expected)) << text;
  }
}

TEST(EnglishNumbers, StandForAnyCountOfDigits) {
  EXPECT_EQ(spell_out_numbers(""), "");
  EXPECT_EQ(number_to_words(std::string(5000, '0') + "1"), "one");
  EXPECT_EQ(number_to_words("1." + std::string(3, '0')), "one point zero zero zero");
  EXPECT_EQ(spell_out_numbers("9 999 999 999 999 999 999 999 999 999 999 999 999 999"), std::nullopt);
}

}  // namespace
}  // namespace fathom::text
