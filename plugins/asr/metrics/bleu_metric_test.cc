#include "plugins/asr/metrics/bleu_metric.h"

#include <gmock/gmock.h>

#include "core/plugins/host_table.h"

namespace fathom::asr {
namespace {

using testing::ElementsAre;

using Pairs = std::vector<std::pair<std::string, std::string>>;  // hypothesis, reference

Values texts_batch(const Pairs& pairs) {
  std::vector<Value> hypotheses, references;
  for (const auto& [hypothesis, reference] : pairs) {
    hypotheses.emplace_back(hypothesis);
    references.emplace_back(reference);
  }
  return {{"hypotheses", hypotheses}, {"references", references}};
}
double bleu_of(BleuMetric::Options options, const Pairs& pairs) {
  BleuMetric metric(options);
  metric.update(texts_batch(pairs));
  return metric.compute().at(0).second;
}

class BleuTest : public ::testing::Test {
 protected:
  BleuTest() { host_slot() = plugins::host_table(); }
};

// What torchmetrics 1.9.0 makes of the same texts.
TEST_F(BleuTest, CutsTextsAs13a) {
  EXPECT_THAT(
      bleu_words("Hello, world! It's 3.5-4 km (\"fast\").", "13a"),
      ElementsAre("Hello", ",", "world", "!", "It's", "3.5", "-", "4", "km", "(", "\"", "fast", "\"", ")", "."));
  EXPECT_THAT(bleu_words("a.,b 1,000.5 -5 5- x&amp;y <skipped>", "13a"),
              ElementsAre("a", ".", ",", "b", "1,000.5", "-5", "5", "-", "x", "&", "y"));
  EXPECT_THAT(bleu_words("Größe: 10%... naïve—yes", "13a"),
              ElementsAre("Größe", ":", "10", "%", ".", ".", ".", "naïve—yes"));
  EXPECT_THAT(bleu_words("end-\nof line\nnext", "13a"), ElementsAre("endof", "line", "next"));
  EXPECT_THAT(bleu_words("é b.", "char"), ElementsAre("é", "b", "."));
  EXPECT_THAT(bleu_words("a b.", "none"), ElementsAre("a", "b."));
}

TEST_F(BleuTest, GivesTorchmetricsNumbers) {
  EXPECT_NEAR(
      bleu_of({}, {{"the cat sat on the mat", "the cat sat on the mat today"},
                   {"a quick brown fox jumps over the lazy dog.", "the quick brown fox jumped over the lazy dog."},
                   {"hello there", "hello there my friend"}}),
      0.5906383395195007, 1e-6);
  const Pairs few = {{"The cat sat", "the cat sat on"}, {"a b c", "a b d"}};
  BleuMetric::Options two;
  two.n_gram = 2;
  EXPECT_NEAR(bleu_of(two, few), 0.4887164533138275, 1e-6);
  BleuMetric::Options letters;
  letters.bleu_tokenizer = "char";
  EXPECT_NEAR(bleu_of(letters, few), 0.6800875067710876, 1e-6);
  EXPECT_EQ(bleu_of({}, few), 0);  // no four words in a row
}

TEST_F(BleuTest, SumsOfSeveralProcessesAreOneCorpus) {
  const Pairs first = {{"a b c d e", "a b c d f"}}, second = {{"b c d e f", "b c d e g h"}};
  BleuMetric both({}), one({}), other({});
  both.update(texts_batch(first));
  both.update(texts_batch(second));
  one.update(texts_batch(first));
  other.update(texts_batch(second));
  auto sums = one.sums();
  for (const auto& [name, value] : other.sums()) sums[name] += value;
  one.set_sums(sums);
  EXPECT_EQ(one.compute(), both.compute());
  EXPECT_GT(both.compute().at(0).second, 0.4);
  both.reset();
  EXPECT_EQ(both.compute().at(0).second, 0);
}

TEST_F(BleuTest, RefusesWhatItDoesNotHave) {
  BleuMetric::Options options;
  options.bleu_tokenizer = "ja-mecab";
  EXPECT_THROW(BleuMetric{options}, Error);
  options = {};
  options.n_gram = 9;
  EXPECT_THROW(BleuMetric{options}, Error);
  options = {};
  options.weights = {{0.5, 0.5}};
  EXPECT_THROW(BleuMetric{options}, Error);
  BleuMetric metric({});
  Values values = texts_batch({{"a", "a"}});
  EXPECT_THROW(metric.update({{"hypotheses", values["hypotheses"]}, {"references", std::vector<Value>{}}}), Error);
}

}  // namespace
}  // namespace fathom::asr
