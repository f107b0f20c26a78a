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
// The rate of each pair, and of all together. Of a pair without any text it is 0, of one without a reference infinite.
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
