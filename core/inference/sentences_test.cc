#include "core/inference/sentences.h"

#include <gmock/gmock.h>

namespace fathom {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Sentences, EndWhereAReaderPauses) {
  EXPECT_THAT(split_sentences("One. Two!  Three?\nFour"), ElementsAre("One.", "Two!", "Three?", "Four"));
  EXPECT_THAT(split_sentences("He said \"Stop.\" Then he left... Why?!"),
              ElementsAre("He said \"Stop.\"", "Then he left...", "Why?!"));
  EXPECT_THAT(split_sentences("A title\n\nA text"), ElementsAre("A title", "A text"));
  EXPECT_THAT(split_sentences("a line\nand the next"), ElementsAre("a line\nand the next"));
}

TEST(Sentences, DotsOfAbbreviationsAndNumbersEndNone) {
  EXPECT_THAT(split_sentences("Dr. Smith met J. R. R. Tolkien at 3.15 p.m. in the park."),
              ElementsAre("Dr. Smith met J. R. R. Tolkien at 3.15 p.m. in the park."));
  EXPECT_THAT(split_sentences("It cost $2.50. So did I. Then"), ElementsAre("It cost $2.50.", "So did I.", "Then"));
}

TEST(Sentences, NothingIsLostOfALongOne) {
  const std::string words = "one two three, four five six seven eight nine ten";
  EXPECT_THAT(split_sentences(words, 20), ElementsAre("one two three,", "four five six seven", "eight nine ten"));
  EXPECT_THAT(split_sentences("ääääää", 5), ElementsAre("ää", "ää", "ää"));
}

TEST(Sentences, WhiteSpaceIsNone) {
  EXPECT_THAT(split_sentences(" \n\t\n "), IsEmpty());
  EXPECT_THAT(split_sentences(""), IsEmpty());
}

}  // namespace
}  // namespace fathom
