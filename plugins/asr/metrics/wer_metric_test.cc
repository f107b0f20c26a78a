#include "plugins/asr/metrics/wer_metric.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "core/plugins/registry.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;  // of the collection, linked into this program

namespace fathom::asr {
namespace {

TEST(WerMetric, AccumulatesThroughTheBoundaryAndItsStateRoundTrips) {
  plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  const auto make = [] {
    return MetricHandle(create_object(1u << FATHOM_KIND_METRIC, {{"_target_", "asr.WER"}}, "metric"));
  };
  const MetricHandle metric = make();
  const auto texts = [](std::vector<Value> list) { return Value(std::move(list)); };
  metric.update({{"hypotheses", texts({"one two", "three"})}, {"references", texts({"one too", "three"})}});
  EXPECT_NEAR(metric.compute().at("wer"), 1.0 / 3.0, 1e-12);
  EXPECT_EQ(metric.compute().at("wer_num"), 1);
  EXPECT_EQ(metric.compute().at("wer_denom"), 3);
  const MetricHandle other = make();
  other.set_sums(metric.sums());
  other.update({{"hypotheses", texts({"x"})}, {"references", texts({"y"})}});
  EXPECT_NEAR(other.compute().at("wer"), 2.0 / 4.0, 1e-12);
  other.reset();
  other.update({{"hypotheses", texts({"a"})}, {"references", texts({"a"})}});
  EXPECT_EQ(other.compute().at("wer"), 0.0);
  EXPECT_THROW(metric.update({{"hypotheses", texts({"one"})}, {"references", texts({})}}), Error);
}

TEST(AverageLoss, IsAMeanOverWhatWasMeasured) {
  plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  const auto mean = [](bool means) {
    const MetricHandle metric(create_object(
        1u << FATHOM_KIND_METRIC, {{"_target_", "asr.GlobalAverageLossMetric"}, {"take_avg_loss", means}}, "metric"));
    metric.update({{"loss", 1.0}});
    metric.update({{"loss", at::full({}, 4.0)}, {"num_measurements", 2}});
    return metric.compute().at("loss");
  };
  EXPECT_EQ(mean(true), 3.0);
  EXPECT_NEAR(mean(false), 5.0 / 3.0, 1e-12);
}

}  // namespace
}  // namespace fathom::asr
