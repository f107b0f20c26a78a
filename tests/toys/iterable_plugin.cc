// Datasets whose items come one after another, of unknown number, and datasets with lengths: batches of like length by
// the loader's use_bucketing, or planned by the dataset itself.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include "fathom/batch_plan.h"
#include "fathom/iterable.h"
#include "fathom/model.h"

namespace {

using namespace fathom;  // NOLINT

Values numbers(const std::vector<const int64_t*>& items) {
  std::vector<float> flat;
  for (const int64_t* item : items) flat.push_back(float(*item));
  return {{"x", at::tensor(flat).unsqueeze(1)}};
}

struct CountOptions {
  int64_t items = 10;
  static void describe(OptionSet<CountOptions>& o) { o("items", &CountOptions::items, "how many"); }
};

class Endless final : public IterableDatasetOf<int64_t> {
 public:
  using Options = CountOptions;
  explicit Endless(const Options& o) : items_(o.items) {}
  std::unique_ptr<Items> start(uint64_t seed) override { return std::make_unique<Run>(seed % 1000, items_); }
  Values collate(const std::vector<const int64_t*>& items) const override { return numbers(items); }

 private:
  struct Run final : Items {
    Run(uint64_t first, int64_t count) : next_(int64_t(first)), left_(count) {}
    std::optional<int64_t> next() override { return left_-- > 0 ? std::optional(next_++) : std::nullopt; }
    int64_t next_, left_;
  };
  int64_t items_;
};

class Lengths : public DatasetOf<int64_t> {
 public:
  using Options = CountOptions;
  explicit Lengths(const Options& o) : items_(o.items) {}
  int64_t size() const override { return items_; }
  int64_t get(int64_t index, uint64_t) const override { return (index * 7) % items_; }  // its length
  double length_hint(int64_t index) const override { return double((index * 7) % items_); }
  Values collate(const std::vector<const int64_t*>& items) const override { return numbers(items); }

 protected:
  int64_t items_;
};

class Pairs final : public Lengths, public BatchPlanner {  // item i with item n-1-i
 public:
  using Lengths::Lengths;
  std::vector<std::vector<int64_t>> plan_batches(const BatchRequest&) const override {
    std::vector<std::vector<int64_t>> out;
    for (int64_t i = 0; i < items_ / 2; ++i) out.push_back({i, items_ - 1 - i});
    return out;
  }
};

}  // namespace

FATHOM_PLUGIN("toy_iterable", "1.0", "Apache-2.0", "the tests", "") {
  r.add<Endless>("toy.Endless", "numbers in a row");
  r.add<Lengths>("toy.Lengths", "items with lengths");
  r.add<Pairs>("toy.Pairs", "pairs of a long and a short item");
}
