// The component asr.GlobalAverageLossMetric.
#pragma once

#include "fathom/metric.h"

namespace fathom::asr {

// Mean of losses over batches, as NeMo's GlobalAverageLossMetric: update takes `loss`, a number or a tensor of one, and
// num_measurements, what it counts for (1 where it is left out). compute gives loss: their sum over the measurements,
// not a number before the first.
class AverageLoss final : public EpochMetric {
 public:
  struct Options {
    bool take_avg_loss = true;
    static void describe(OptionSet<Options>& o) {
      o("take_avg_loss", &Options::take_avg_loss, "the losses are means of their measurements, not sums");
    }
  };
  explicit AverageLoss(const Options& options) : means_(options.take_avg_loss) {}
  void update(const Values& values) override;
  std::vector<std::pair<std::string, double>> compute() const override { return {{"loss", sum_ / measurements_}}; }
  void reset() override { sum_ = measurements_ = 0; }
  std::map<std::string, double> sums() const override { return {{"sum", sum_}, {"measurements", measurements_}}; }
  void set_sums(const std::map<std::string, double>& sums) override;

 private:
  bool means_;
  double sum_ = 0, measurements_ = 0;
};

}  // namespace fathom::asr
