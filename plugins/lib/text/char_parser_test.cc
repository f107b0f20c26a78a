#include "plugins/lib/text/char_parser.h"

#include <gtest/gtest.h>

#include "fathom/error.h"
#include "fathom/utf8.h"
#include "plugins/lib/recorded_test_data.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/romanization.h"

namespace fathom::text {
namespace {

CharParser parser(std::vector<std::string> labels, CharParser::Language language, bool normalize = true) {
  CharParser::Config config;
  config.labels = std::move(labels);
  config.language = language;
  config.do_normalize = normalize;
  return CharParser(config);
}
using Ids = std::vector<int64_t>;

TEST(CharParser, DropsAndCountsCharactersOutsideTheLabels) {
  const auto base = parser({" ", "a", "b"}, CharParser::Language::kBase);
  const auto parsed = base.parse("  Ab c?b ");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->ids, (Ids{1, 2, 0, 2}));
  EXPECT_EQ(parsed->unknown, 2);
  EXPECT_EQ(base.decode(parsed->ids), "ab b");
}

// What is_plain says of a text, parsing it must bear out.
TEST(CharParser, PlainTextsHaveNoUnknownCharacters) {
  std::vector<std::string> letters = {" "};
  for (char c = 'a'; c <= 'z'; ++c) letters.emplace_back(1, c);
  std::vector<std::string> with_signs = letters;
  with_signs.insert(with_signs.end(), {"'", ".", "+", "$", "-", "7"});
  const std::vector<std::string> without_space(letters.begin() + 1, letters.end()),
      some = {" ", "e", "n", "o", "t", "'", "ten"};
  std::vector<std::string> beyond = letters;
  beyond.insert(beyond.end(), {"é", "É", "日", "ж", "\xcc\x81"});
  const std::vector<std::string> words = {"one",  "TEN", "mr.", "etc.", "note", ".",   "+", "100%", "$5",
                                          "$",    " ",   "  ",  "\t",   "'",    "A&B", "7", "3rd",  "\x01",
                                          "?",    "-",   "é",   "É",    "日",   "本",  "ж", "Ж",    "e\xcc\x81",
                                          "\xc3", "e",   "n",   "_",    "[x]",  "7:30"};
  uint64_t state = 1;
  const auto below = [&](size_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % bound;
  };
  int64_t plain = 0, others = 0;
  for (const auto& labels : {letters, with_signs, without_space, some, beyond}) {
    for (const auto language : {CharParser::Language::kBase, CharParser::Language::kEnglish}) {
      for (const bool normalize : {true, false}) {
        const CharParser one = parser(labels, language, normalize);
        for (int i = 0; i < 2000; ++i) {
          std::string text;
          for (size_t count = below(5); count > 0; --count) text += words[below(words.size())];
          const bool is_plain = one.is_plain(text);
          (is_plain ? plain : others) += 1;
          if (!is_plain) continue;
          const auto parsed = one.parse(text);
          ASSERT_TRUE(parsed) << text;
          EXPECT_EQ(parsed->unknown, 0) << "'" << text << "', normalize " << normalize;
        }
      }
    }
  }
  EXPECT_GT(plain, 3000);
  EXPECT_GT(others, 3000);
}

TEST(CharParser, KeepsUnknownIdsThatAreNotTheBlank) {
  CharParser::Config config;
  config.labels = {" ", "a"};
  config.language = CharParser::Language::kBase;
  config.unk_id = 7;
  EXPECT_EQ(CharParser(config).parse("axa")->ids, (Ids{1, 7, 1}));
}

TEST(CharParser, TakesLongLabelsAsWholeWords) {
  const auto base = parser({" ", "a", "b", "ab"}, CharParser::Language::kBase);
  EXPECT_EQ(base.parse("ab abb")->ids, (Ids{3, 0, 1, 2, 2}));
}

TEST(CharParser, LeavesTextAloneWithoutNormalisation) {
  const auto raw = parser({" ", "a", "A"}, CharParser::Language::kEnglish, false);
  EXPECT_EQ(raw.parse(" aA1")->ids, (Ids{0, 1, 2}));
}

TEST(CharParser, EnglishTransliteratesAndSpellsOut) {
  const auto english = parser({" ", "a", "'"}, CharParser::Language::kEnglish);
  EXPECT_EQ(*english.normalize(" Mr. Smith & Cie,\tnaïve café—‘x’ %"), "mister smith and cie naive cafe 'x' percent");
  EXPECT_EQ(*english.normalize("a+b &c% AT&T"), "a plus b and c percent at and t");
}

TEST(CharParser, EnglishSpellsOutNumbers) {
  const auto english = parser({" ", "a", "'"}, CharParser::Language::kEnglish);
  EXPECT_EQ(*english.normalize("Number 50"), "number fifty");
  EXPECT_EQ(*english.normalize("Dr. X's 21ST, at 3:05PM\n\t(1,234 of 10%)"),
            "doctor x's twenty first at three five pm one thousand two hundred and thirty four of ten percent");
  EXPECT_EQ(*english.normalize("$ 2\t500.75 and ½ m²"),
            "two thousand five hundred dollars and seventy five cents and one two m two");
  EXPECT_EQ(english.normalize("a " + std::string(37, '9')), std::nullopt);
  // What is a label stays, as inflect wrote it.
  const auto rich = parser({" ", "-", ","}, CharParser::Language::kEnglish);
  EXPECT_EQ(*rich.normalize("1,234."), "one thousand, two hundred and thirty-four");
  const auto base = parser({" ", "5"}, CharParser::Language::kBase);
  EXPECT_EQ(*base.normalize("5 "), "5");
}

TEST(CharParser, NamesTheParsersItHas) {
  try {
    CharParser::language_of("ru");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.seen(), "ru");
    EXPECT_NE(error.expected().find("base"), std::string::npos);
  }
  EXPECT_THROW(parser({}, CharParser::Language::kBase), Error);
}

TEST(CharParser, EnglishExpandsWhatNemoExpandsByDefault) {
  const auto english = parser({" ", "a"}, CharParser::Language::kEnglish);
  EXPECT_EQ(*english.normalize("Acme Inc., Smith Ltd., cats vs. dogs"), "acme inc smith ltd cats vs dogs");
  EXPECT_EQ(*english.normalize("Dr. Who etc. amr. mr.st. st.mr. st.st."),
            "doctor who et cetera amr misterst saintmister saintsaint");  // each everywhere before the next one
}

TEST(CharParser, EnglishKnowsEveryScript) {
  const auto english = parser({" ", "a", "'"}, CharParser::Language::kEnglish);
  EXPECT_EQ(*english.normalize("Tiếng Việt, București, ﬁne, ＡＢ"), "tieng viet bucuresti fine ab");
  EXPECT_EQ(*english.normalize("yes 😀 no, e \xcc\x81 a"), "yes no e a");
  EXPECT_EQ(*english.normalize("Привет, κόσμε! 日本 한국 ٥ ५"), "privet kosme ri ben hangug five five");
}

// A label of several marks keeps those that stand side by side in Python's list of them.
TEST(CharParser, EnglishKeepsPunctuationThatIsALabel) {
  EXPECT_EQ(*parser({" ", "a", "."}, CharParser::Language::kEnglish).normalize("a. b, c&d"), "a. b c and d");
  EXPECT_EQ(*parser({" ", "a", "()"}, CharParser::Language::kEnglish).normalize("(a) [b]"), "(a) b");
  EXPECT_EQ(*parser({" ", "a", "--"}, CharParser::Language::kEnglish).normalize("a--b"), "a b");
}

TEST(CharParser, BaseLowersEveryScript) {
  const auto base = parser({" ", "a"}, CharParser::Language::kBase);
  EXPECT_EQ(*base.normalize("\u3000ȘȚ Ǆ Ա ΟΔΟΣ ΣΑΣ'\u00a0"), "șț ǆ ա οδος σας'");
  EXPECT_EQ(*base.normalize("İ\x85"), "i\u0307\x85") << "a byte that is no UTF-8 stays";
}

TEST(LatinText, LowersAndRomanizes) {
  EXPECT_EQ(lower_case("ÅÄÖŸŽŁ ΑΒ ЖЯ\xff"), "åäöÿžł αβ жя\xff");
  EXPECT_EQ(to_ascii("Łódź ß œuvre “ok” …"), "Lodz ss oeuvre \"ok\" ...");
  EXPECT_EQ(to_ascii("\u0080\uffff\U0001f600\xff"), "\xff") << "nothing, nothing, beyond the plane, no UTF-8";
  EXPECT_EQ(utf8::length("añ語"), 3u);
}

TEST(LatinText, KnowsPunctuation) {
  for (const char32_t c : U"!'-_~@/\u00a1\u2014\u3002\uff5d\U00010100") {
    EXPECT_EQ(is_punctuation(c), c != U'~' && c != U'\0') << static_cast<uint32_t>(c);
  }
  for (const char32_t c : U"$+a1 \u2581\u20ac") EXPECT_FALSE(is_punctuation(c)) << static_cast<uint32_t>(c);
}

TEST(CharParser, AgreesWithNemosRecordings) {
  for (const std::string name : {"base", "en"}) {
    const std::string path = test_data::shared_path("golden/nemo_models/tokenizers/parser_" + name + "/cases.json");
    NEEDS_RECORDING(path);
    const auto recording = test_data::read_recording(path);
    const auto subject = parser(recording["labels"], CharParser::language_of(name));
    for (const auto& row : recording["rows"]) {
      const auto parsed = subject.parse(row["text"].get<std::string>());
      if (row["ids"].is_null()) {
        EXPECT_FALSE(parsed) << row["text"];
      } else {
        ASSERT_TRUE(parsed) << row["text"];
        EXPECT_EQ(parsed->ids, row["ids"].get<Ids>()) << row["text"];
      }
    }
  }
}

}  // namespace
}  // namespace fathom::text
