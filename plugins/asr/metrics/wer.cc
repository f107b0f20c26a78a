#include "plugins/asr/metrics/wer.h"

#include <limits>

#include "fathom/error.h"
#include "plugins/lib/text/edit_distance.h"
#include "plugins/lib/text/words.h"

namespace fathom::asr {
namespace {

void check_lengths(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references) {
  if (hypotheses.size() == references.size()) return;
  throw Error(Code::kFailed, "an error rate needs as many hypotheses as references")
      .seen(std::to_string(hypotheses.size()) + " hypotheses, " + std::to_string(references.size()) + " references");
}

struct PairCounts {
  text::EditCounts edits;
  int64_t units = 0;
};

PairCounts count_pair(const std::string& hypothesis, const std::string& reference, bool use_cer) {
  PairCounts out;
  if (use_cer) {
    const auto ref = text::code_points(reference);
    out.units = static_cast<int64_t>(ref.size());
    out.edits = text::align(ref, text::code_points(hypothesis));
  } else {
    const auto ref = text::split_words(reference);
    out.units = static_cast<int64_t>(ref.size());
    out.edits = text::align(ref, text::split_words(hypothesis));
  }
  return out;
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

double word_error_rate(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references,
                       bool use_cer) {
  check_lengths(hypotheses, references);
  WerCounter counter(use_cer);
  for (size_t i = 0; i < hypotheses.size(); ++i) counter.add(hypotheses[i], references[i]);
  return counter.rate();
}

WerDetail word_error_rate_detail(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references,
                                 bool use_cer) {
  check_lengths(hypotheses, references);
  text::EditCounts sum;
  WerDetail out;
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    const PairCounts pair = count_pair(hypotheses[i], references[i], use_cer);
    sum.insertions += pair.edits.insertions;
    sum.deletions += pair.edits.deletions;
    sum.substitutions += pair.edits.substitutions;
    out.units += pair.units;
  }
  const auto rate = [&](int64_t n) {
    return out.units == 0 ? kInfinity : static_cast<double>(n) / static_cast<double>(out.units);
  };
  out.wer = rate(sum.errors());
  out.insertion_rate = rate(sum.insertions);
  out.deletion_rate = rate(sum.deletions);
  out.substitution_rate = rate(sum.substitutions);
  return out;
}

std::pair<std::vector<double>, double> word_error_rate_per_utt(const std::vector<std::string>& hypotheses,
                                                               const std::vector<std::string>& references,
                                                               bool use_cer) {
  check_lengths(hypotheses, references);
  std::vector<double> rates;
  WerCounter all(use_cer);
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    const PairCounts pair = count_pair(hypotheses[i], references[i], use_cer);
    WerCounter one(use_cer);
    one.add_counts(pair.edits.errors(), pair.units);
    all.add_counts(pair.edits.errors(), pair.units);
    rates.push_back(pair.units == 0 && pair.edits.errors() == 0 ? 0 : one.rate());
  }
  return {std::move(rates), all.rate()};
}

void WerCounter::add(std::string_view hypothesis, std::string_view reference) {
  if (use_cer_) {
    const auto ref = text::code_points(reference);
    add_counts(text::edit_distance(ref, text::code_points(hypothesis)), static_cast<int64_t>(ref.size()));
  } else {
    const auto ref = text::split_words(reference);
    add_counts(text::edit_distance(ref, text::split_words(hypothesis)), static_cast<int64_t>(ref.size()));
  }
}

double WerCounter::rate() const {
  return units_ == 0 ? kInfinity : static_cast<double>(errors_) / static_cast<double>(units_);
}

}  // namespace fathom::asr
