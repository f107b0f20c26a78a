#include "plugins/asr/metrics/wer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fathom/error.h"
#include "plugins/lib/recorded_test_data.h"

namespace fathom::asr {
namespace {

TEST(Wer, CountsWordEdits) {
  EXPECT_DOUBLE_EQ(word_error_rate({"cat"}, {"cot"}), 1.0);
  EXPECT_DOUBLE_EQ(word_error_rate({"GPU"}, {"G P U"}), 1.0);
  EXPECT_DOUBLE_EQ(word_error_rate({"G P U"}, {"GPU"}), 3.0);
  EXPECT_DOUBLE_EQ(word_error_rate({"ducati"}, {"motorcycle"}), 1.0);
  EXPECT_DOUBLE_EQ(word_error_rate({"ducati motorcycle"}, {"motorcycle"}), 1.0);
  EXPECT_DOUBLE_EQ(word_error_rate({"ducati motorcycle"}, {"motorcycle ducati motorcycle"}), 1.0 / 3);
  EXPECT_TRUE(std::isinf(word_error_rate({"abc"}, {""})));
  EXPECT_THROW(word_error_rate({"a"}, {}), Error);
}

TEST(Wer, SaysOfWhichKindTheEditsAre) {
  const WerDetail words = word_error_rate_detail({"cat", ""}, {"", "gpu"});
  EXPECT_EQ(words.wer, 2.0);
  EXPECT_EQ(words.units, 1);
  EXPECT_EQ(words.insertion_rate, 1.0);
  EXPECT_EQ(words.deletion_rate, 1.0);
  EXPECT_EQ(words.substitution_rate, 0.0);
  const WerDetail characters = word_error_rate_detail({""}, {"ducuti motorcycle"}, true);
  EXPECT_EQ(characters.units, 17);
  EXPECT_EQ(characters.deletion_rate, 1.0);
}

TEST(Wer, CountsCodePointsNotBytes) { EXPECT_DOUBLE_EQ(word_error_rate({"日本語"}, {"日本 語"}, true), 0.25); }

TEST(Wer, OfAPairWithoutTextIsNothing) {
  const auto [rates, all] = word_error_rate_per_utt({"", "abc", "a b"}, {"", "", "a b"});
  EXPECT_EQ(rates[0], 0);
  EXPECT_TRUE(std::isinf(rates[1]));
  EXPECT_EQ(rates[2], 0);
  EXPECT_DOUBLE_EQ(all, 0.5);
  EXPECT_TRUE(std::isinf(word_error_rate_per_utt({""}, {""}).second));
}

TEST(Wer, CounterSumsBatches) {
  WerCounter counter;
  counter.add("one two", "one three");
  counter.add("four", "four");
  EXPECT_EQ(counter.errors(), 1);
  EXPECT_EQ(counter.units(), 3);
  counter.reset();
  EXPECT_TRUE(std::isinf(counter.rate()));
}

double number(const nlohmann::json& value) { return value.is_string() ? INFINITY : value.get<double>(); }

TEST(Wer, AgreesWithNemosRecording) {
  const std::string path = test_data::shared_path("golden/nemo_models/metrics/wer/cases.json");
  NEEDS_RECORDING(path);
  const auto recording = test_data::read_recording(path);
  std::vector<std::string> references, hypotheses;
  const auto expect_detail = [](const WerDetail& got, const nlohmann::json& want, const std::string& what) {
    EXPECT_DOUBLE_EQ(got.wer, number(want[0])) << what;
    EXPECT_EQ(static_cast<double>(got.units), number(want[1])) << what;
    EXPECT_DOUBLE_EQ(got.insertion_rate, number(want[2])) << what;
    EXPECT_DOUBLE_EQ(got.deletion_rate, number(want[3])) << what;
    EXPECT_DOUBLE_EQ(got.substitution_rate, number(want[4])) << what;
  };
  for (const auto& row : recording["rows"]) {
    const std::string ref = row["ref"], hyp = row["hyp"];
    EXPECT_DOUBLE_EQ(word_error_rate({hyp}, {ref}), number(row["wer"])) << ref;
    EXPECT_DOUBLE_EQ(word_error_rate({hyp}, {ref}, true), number(row["cer"])) << ref;
    expect_detail(word_error_rate_detail({hyp}, {ref}), row["wer_detail"], ref + " | " + hyp);
    expect_detail(word_error_rate_detail({hyp}, {ref}, true), row["cer_detail"], ref + " | " + hyp);
    references.push_back(ref);
    hypotheses.push_back(hyp);
  }
  EXPECT_GT(references.size(), 400u);
  expect_detail(word_error_rate_detail(hypotheses, references), recording["corpus"]["wer_detail"], "corpus");
  expect_detail(word_error_rate_detail(hypotheses, references, true), recording["corpus"]["cer_detail"], "corpus");
  for (const auto& row : recording["special"]) {
    expect_detail(word_error_rate_detail({row["hyp"]}, {row["ref"]}), row["wer_detail"], "special");
  }
  for (const bool use_cer : {false, true}) {
    const auto [rates, all] = word_error_rate_per_utt({hypotheses.begin(), hypotheses.begin() + 50},
                                                      {references.begin(), references.begin() + 50}, use_cer);
    const auto& want = recording["per_utt_first50"][use_cer ? 1 : 0];
    for (size_t i = 0; i < rates.size(); ++i) EXPECT_DOUBLE_EQ(rates[i], number(want[0][i]));
    EXPECT_DOUBLE_EQ(all, number(want[1]));
  }
}

}  // namespace
}  // namespace fathom::asr
