#include "core/distributed/metric_reduction.h"

namespace fathom {

void reduce_metrics(const NamedMetrics& metrics, const fathom_distributed_v1& group) {
  if (group.world_size() == 1) return;
  for (const auto& [name, metric] : metrics) {
    std::map<std::string, double> sums = metric.sums();
    if (sums.empty()) {
      throw Error(Code::kFailed, "the metric '" + metric.name() + "' lists no sums, so it cannot be added up")
          .at(name)
          .seen(std::to_string(group.world_size()) + " processes")
          .expected("EpochMetric::sums() with everything that compute() needs")
          .next("run in one process, or choose another metric");
    }
    std::vector<double> numbers;  // in the order of the names, which is the same everywhere
    for (const auto& [key, value] : sums) numbers.push_back(value);
    check(group.all_reduce_numbers(numbers.data(), numbers.size(), FATHOM_REDUCE_SUM));
    size_t i = 0;
    for (auto& [key, value] : sums) value = numbers[i++];
    metric.set_sums(sums);
  }
}

}  // namespace fathom
