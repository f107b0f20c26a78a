// The component asr.WER.
#pragma once

#include "fathom/metric.h"
#include "plugins/asr/metrics/wer.h"

namespace fathom::asr {

// Word (or character) error rate over lists of texts: update takes `hypotheses` and `references`, compute gives `wer`.
class WerMetric final : public EpochMetric {
 public:
  struct Options {
    bool use_cer = false;
    static void describe(OptionSet<Options>& o) { o("use_cer", &Options::use_cer, "count characters, not words"); }
  };
  explicit WerMetric(const Options& options) : counter_(options.use_cer) {}
  void update(const Values& values) override;
  std::vector<std::pair<std::string, double>> compute() const override { return {{"wer", counter_.rate()}}; }
  void reset() override { counter_.reset(); }
  std::map<std::string, double> sums() const override;
  void set_sums(const std::map<std::string, double>& sums) override;

 private:
  WerCounter counter_;
};

}  // namespace fathom::asr
