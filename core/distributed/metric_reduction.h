// Metrics over several processes: their sums are added up, so that what they compute is of all data.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fathom/abi/distributed.h"
#include "fathom/metric.h"

namespace fathom {

using NamedMetrics = std::vector<std::pair<std::string, MetricHandle>>;

// Adds up each metric's sums over the processes of `group`; alone, nothing changes. All processes call it together.
// Throws Error(kFailed) for a metric that lists no sums where there are several.
void reduce_metrics(const NamedMetrics& metrics, const fathom_distributed_v1& group);

}  // namespace fathom
