// Precision, recall and F1 of classes, as NeMo's ClassificationReport.
#pragma once

#include <string>
#include <vector>

#include "fathom/metric.h"

namespace fathom::nlp {

// update takes `preds` and `labels`, integers of one shape, and perhaps `mask` of the same: items that count. compute
// gives precision, recall and f1 in percent, by `mode`: micro (of all items), macro (the mean over classes that occur),
// weighted (by how often they do). Items of no known class count for none.
class ClassificationReport final : public EpochMetric {
 public:
  struct Options {
    int64_t num_classes = 0;
    std::vector<std::string> label_ids;
    std::string mode = "macro";
    static void describe(OptionSet<Options>& o);
  };
  explicit ClassificationReport(const Options& options);
  void update(const Values& values) override;
  std::vector<std::pair<std::string, double>> compute() const override;
  void reset() override;
  std::map<std::string, double> sums() const override;
  void set_sums(const std::map<std::string, double>& sums) override;

 private:
  struct Counts {
    double hits = 0, answers = 0, items = 0;  // of one class: both, answered, there
  };
  Options options_;
  std::vector<Counts> counts_;
};

// A table of all classes and the three means, from such a metric's sums.
std::string report_text(const std::map<std::string, double>& sums, const std::vector<std::string>& names);

}  // namespace fathom::nlp
