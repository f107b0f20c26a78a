// The components asr.TopKClassificationAccuracy and asr.MacroAccuracy.
#pragma once

#include "fathom/metric.h"

namespace fathom::asr {

// How often the right class is among the k likeliest ones, as NeMo's TopKClassificationAccuracy: update takes `logits`
// (B,C) and `labels` (B) integers; compute gives top_1 (or whatever top_k lists), correct_top_1 and total, shares in
// [0, 1], not a number before the first item. A k beyond the number of classes is an error.
class TopKClassificationAccuracy final : public EpochMetric {
 public:
  struct Options {
    Json top_k = 1;  // a number, or a list of them
    static void describe(OptionSet<Options>& o) {
      o("top_k", &Options::top_k, "the right class is among so many: a number, or a list of numbers");
    }
  };
  explicit TopKClassificationAccuracy(const Options& options);
  void update(const Values& values) override;
  std::vector<std::pair<std::string, double>> compute() const override;
  void reset() override;
  std::map<std::string, double> sums() const override;
  void set_sums(const std::map<std::string, double>& sums) override;

 private:
  std::vector<int64_t> top_k_;
  std::vector<int64_t> correct_;  // of each k
  int64_t total_ = 0;
};

// The mean over classes of the share of a class's items that were told, as NeMo logs it at the end of an epoch
// (torchmetrics' Accuracy, average macro): update takes `logits` (B,C) and `labels` (B); compute gives accuracy. A
// class that neither occurs nor was answered does not count.
//
// As in NeMo, which adds up running totals, the first of n batches counts n times, the last one once.
class MacroAccuracy final : public EpochMetric {
 public:
  struct Options {
    int64_t num_classes = 0;
    static void describe(OptionSet<Options>& o) { o.required("num_classes", &Options::num_classes, "classes"); }
  };
  explicit MacroAccuracy(const Options& options);
  void update(const Values& values) override;
  std::vector<std::pair<std::string, double>> compute() const override;
  void reset() override;
  std::map<std::string, double> sums() const override;
  void set_sums(const std::map<std::string, double>& sums) override;

 private:
  // Of one class: items of it, answers of it, and those that were both.
  struct Counts {
    int64_t items = 0, answers = 0, both = 0;
  };
  std::vector<Counts> totals_, summed_;  // since the beginning; the sum of these after each batch
};

}  // namespace fathom::asr
