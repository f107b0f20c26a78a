#include "core/distributed/metric_reduction.h"

#include <gtest/gtest.h>

#include "core/distributed/process_group.h"
#include "core/plugins/registry.h"
#include "fathom/distributed.h"
#include "fathom/plugin.h"

namespace fathom {
namespace {

class Ratio final : public EpochMetric {
 public:
  void update(const Values& values) override {
    errors_ += values["errors"].real();
    words_ += values["words"].real();
  }
  std::vector<std::pair<std::string, double>> compute() const override { return {{"rate", errors_ / words_}}; }
  void reset() override { errors_ = words_ = 0; }
  std::map<std::string, double> sums() const override { return {{"errors", errors_}, {"words", words_}}; }
  void set_sums(const std::map<std::string, double>& sums) override {
    errors_ = sums.at("errors");
    words_ = sums.at("words");
  }

 private:
  double errors_ = 0, words_ = 0;
};

class Private final : public EpochMetric {
 public:
  void update(const Values&) override {}
  std::vector<std::pair<std::string, double>> compute() const override { return {}; }
  void reset() override {}
  std::map<std::string, double> sums() const override { return {}; }
  void set_sums(const std::map<std::string, double>&) override {}
};

}  // namespace
}  // namespace fathom

FATHOM_PLUGIN("metric_reduction_test", "1", "Apache-2.0", "nobody", "") {
  using namespace fathom;  // NOLINT
  r.add<Ratio>("test.Ratio", "errors over words");
  r.add<Private>("test.Private", "keeps its sums to itself");
}

namespace fathom {
namespace {

// Two processes that hold the same.
const fathom_distributed_v1 kTwo = {sizeof(fathom_distributed_v1),
                                    [] { return int32_t{0}; },
                                    [] { return int32_t{2}; },
                                    [] { return fathom_status{FATHOM_OK}; },
                                    [](double* numbers, size_t count, uint32_t) {
                                      for (size_t i = 0; i < count; ++i) numbers[i] *= 2;
                                      return fathom_status{FATHOM_OK};
                                    },
                                    [](fathom_tensor, uint32_t) { return fathom_status{FATHOM_OK}; }};

MetricHandle made(const char* name) {
  plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  return make_metric({{"_target_", name}}, "metric");
}

TEST(MetricReduction, AddsUpTheSums) {
  const MetricHandle metric = made("test.Ratio");
  metric.update({{"errors", 1}, {"words", 4}});
  reduce_metrics({{"wer", metric}}, process_group());
  EXPECT_EQ(metric.sums().at("words"), 4);
  reduce_metrics({{"wer", metric}}, kTwo);
  EXPECT_EQ(metric.sums().at("errors"), 2);
  EXPECT_EQ(metric.sums().at("words"), 8);
  EXPECT_EQ(metric.compute().at("rate"), 0.25);
}

TEST(MetricReduction, AMetricWithoutSumsIsRefusedWhereThereAreSeveralProcesses) {
  const MetricHandle metric = made("test.Private");
  EXPECT_NO_THROW(reduce_metrics({{"m", metric}}, process_group()));
  try {
    reduce_metrics({{"m", metric}}, kTwo);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "the metric 'test.Private' lists no sums, so it cannot be added up");
    EXPECT_EQ(error.seen(), "2 processes");
  }
}

TEST(ProcessGroup, ARunOfOneProcessIsRankZeroOfOne) {
  EXPECT_EQ(distributed::rank(), 0);
  EXPECT_EQ(distributed::world_size(), 1);
  std::vector<double> numbers = {1, 2};
  distributed::all_reduce(numbers);
  EXPECT_EQ(numbers, (std::vector<double>{1, 2}));
  distributed::barrier();
}

}  // namespace
}  // namespace fathom
