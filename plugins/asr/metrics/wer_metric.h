// The component asr.WER.
#pragma once

#include "fathom/metric.h"
#include "plugins/asr/metrics/wer.h"

namespace fathom::asr {

// Word (or character) error rate over lists of texts, as NeMo's WER: update takes `hypotheses` and `references`, lists
// of texts of one length; compute gives wer, and as wer_num and wer_denom the edits and the reference words it is made
// of. No reference word at all: wer is infinite.
class WerMetric final : public EpochMetric {
 public:
  struct Options {
    bool use_cer = false;
    static void describe(OptionSet<Options>& o) { o("use_cer", &Options::use_cer, "count characters, not words"); }
  };
  explicit WerMetric(const Options& options) : counter_(options.use_cer) {}
  void update(const Values& values) override;
  std::vector<std::pair<std::string, double>> compute() const override;
  void reset() override { counter_.reset(); }
  std::map<std::string, double> sums() const override;
  void set_sums(const std::map<std::string, double>& sums) override;

 private:
  WerCounter counter_;
};

}  // namespace fathom::asr
