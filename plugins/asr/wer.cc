#include "wer.h"

#include <algorithm>
#include <limits>

#include "fathom/error.h"

namespace fathom::asr {
namespace {

// str.split() splits where str.isspace() holds.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// Decodes one code point at `at`; returns its length in bytes.
size_t decode(std::string_view text, size_t at, char32_t& out) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  const size_t length = lead < 0x80 ? 1 : lead >= 0xf0 && lead < 0xf8 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
  out = lead;
  if (length == 1 || lead >= 0xf8 || at + length > text.size()) return 1;
  char32_t value = lead & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 1;
    value = value << 6 | (byte(at + i) & 0x3f);
  }
  out = value;
  return length;
}

// Only the number of edits: two rows.
template <typename T>
int64_t distance(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<int32_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int32_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int32_t diagonal = row[0];
    row[0] = static_cast<int32_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int32_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

template <typename T>
EditCounts align(const std::vector<T>& reference, const std::vector<T>& hypothesis) {
  const size_t m = reference.size(), n = hypothesis.size(), width = n + 1;
  std::vector<int32_t> d((m + 1) * width);
  for (size_t i = 0; i <= m; ++i) d[i * width] = static_cast<int32_t>(i);
  for (size_t j = 0; j <= n; ++j) d[j] = static_cast<int32_t>(j);
  for (size_t i = 1; i <= m; ++i) {
    for (size_t j = 1; j <= n; ++j) {
      const int32_t same = reference[i - 1] == hypothesis[j - 1] ? 0 : 1;
      d[i * width + j] =
          std::min({d[(i - 1) * width + j] + 1, d[i * width + j - 1] + 1, d[(i - 1) * width + j - 1] + same});
    }
  }

  EditCounts counts;
  size_t i = m, j = n;
  while (i > 0 || j > 0) {
    if (j > 0 && d[i * width + j] == d[i * width + j - 1] + 1) {
      ++counts.insertions;
      --j;
    } else if (i > 0 && d[i * width + j] == d[(i - 1) * width + j] + 1) {
      ++counts.deletions;
      --i;
    } else {
      if (reference[i - 1] != hypothesis[j - 1]) ++counts.substitutions;
      --i;
      --j;
    }
  }
  return counts;
}

void check_lengths(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references) {
  if (hypotheses.size() == references.size()) return;
  throw Error(Code::kFailed, "an error rate needs as many hypotheses as references")
      .seen(std::to_string(hypotheses.size()) + " hypotheses, " + std::to_string(references.size()) + " references");
}

struct PairCounts {
  EditCounts edits;
  int64_t units = 0;
};

PairCounts count_pair(const std::string& hypothesis, const std::string& reference, bool use_cer) {
  PairCounts out;
  if (use_cer) {
    const auto ref = code_points(reference);
    out.units = static_cast<int64_t>(ref.size());
    out.edits = align(ref, code_points(hypothesis));
  } else {
    const auto ref = split_words(reference);
    out.units = static_cast<int64_t>(ref.size());
    out.edits = align(ref, split_words(hypothesis));
  }
  return out;
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

std::vector<char32_t> code_points(std::string_view utf8) {
  std::vector<char32_t> out;
  out.reserve(utf8.size());
  for (size_t at = 0; at < utf8.size();) {
    char32_t c = 0;
    at += decode(utf8, at, c);
    out.push_back(c);
  }
  return out;
}

std::vector<std::string> split_words(std::string_view utf8) {
  std::vector<std::string> out;
  size_t start = 0;
  for (size_t at = 0; at < utf8.size();) {
    char32_t c = 0;
    const size_t length = decode(utf8, at, c);
    if (is_space(c)) {
      if (at > start) out.emplace_back(utf8.substr(start, at - start));
      start = at + length;
    }
    at += length;
  }
  if (utf8.size() > start) out.emplace_back(utf8.substr(start));
  return out;
}

EditCounts align_words(const std::vector<std::string>& reference, const std::vector<std::string>& hypothesis) {
  return align(reference, hypothesis);
}
EditCounts align_characters(const std::vector<char32_t>& reference, const std::vector<char32_t>& hypothesis) {
  return align(reference, hypothesis);
}

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
  EditCounts sum;
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
    rates.push_back(one.rate());
  }
  return {std::move(rates), all.rate()};
}

void WerCounter::add(std::string_view hypothesis, std::string_view reference) {
  if (use_cer_) {
    const auto ref = code_points(reference);
    add_counts(distance(ref, code_points(hypothesis)), static_cast<int64_t>(ref.size()));
  } else {
    const auto ref = split_words(reference);
    add_counts(distance(ref, split_words(hypothesis)), static_cast<int64_t>(ref.size()));
  }
}

double WerCounter::rate() const {
  return units_ == 0 ? kInfinity : static_cast<double>(errors_) / static_cast<double>(units_);
}

}  // namespace fathom::asr
