// Word and character error rates, as NeMo's word_error_rate functions count them. Uses no torch; no state, thread-safe
// (a WerCounter belongs to one thread).
//
// WER = edits between hypothesis and reference words / reference words; CER the same over Unicode code points. An empty
// reference set gives infinity.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom::asr {

// Code points of a UTF-8 text. Bytes that are no UTF-8 count as one code point each.
std::vector<char32_t> code_points(std::string_view utf8);
// Words between runs of white space (Unicode's, as Python's str.split()).
std::vector<std::string> split_words(std::string_view utf8);

struct EditCounts {
  int64_t insertions = 0, deletions = 0, substitutions = 0;
  int64_t errors() const { return insertions + deletions + substitutions; }
};

// Fewest edits that turn `reference` into `hypothesis`, and of which kind. Where several alignments are equally short,
// the one that, seen from the end, takes an insertion before a deletion before a substitution is counted, as in NeMo.
EditCounts align_words(const std::vector<std::string>& reference, const std::vector<std::string>& hypothesis);
EditCounts align_characters(const std::vector<char32_t>& reference, const std::vector<char32_t>& hypothesis);

struct WerDetail {
  double wer = 0;
  int64_t units = 0;  // words, or characters for CER
  double insertion_rate = 0, deletion_rate = 0, substitution_rate = 0;
};

// Over a corpus. Throws kUsage when the lists differ in length.
double word_error_rate(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references,
                       bool use_cer = false);
WerDetail word_error_rate_detail(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references,
                                 bool use_cer = false);
// The rate of each pair, and of all together.
std::pair<std::vector<double>, double> word_error_rate_per_utt(const std::vector<std::string>& hypotheses,
                                                               const std::vector<std::string>& references,
                                                               bool use_cer = false);

// Sums over the batches of an epoch.
class WerCounter {
 public:
  explicit WerCounter(bool use_cer = false) : use_cer_(use_cer) {}
  void add(std::string_view hypothesis, std::string_view reference);
  void add_counts(int64_t errors, int64_t units) { errors_ += errors, units_ += units; }
  void reset() { errors_ = units_ = 0; }
  int64_t errors() const { return errors_; }
  int64_t units() const { return units_; }
  double rate() const;

 private:
  bool use_cer_;
  int64_t errors_ = 0, units_ = 0;
};

}  // namespace fathom::asr
