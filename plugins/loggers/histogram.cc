#include "plugins/loggers/histogram.h"

#include <algorithm>
#include <cmath>

namespace fathom::loggers {
namespace {

const std::vector<double>& bucket_edges() {
  static const std::vector<double> edges = [] {
    std::vector<double> positive;
    for (double edge = 1e-12; edge < 1e20; edge *= 1.1) positive.push_back(edge);
    std::vector<double> all(positive.rbegin(), positive.rend());
    for (double& edge : all) edge = -edge;
    all.push_back(0);
    all.insert(all.end(), positive.begin(), positive.end());
    return all;
  }();
  return edges;
}

}  // namespace

Histogram histogram_of(std::span<const float> values) {
  const auto& edges = bucket_edges();
  Histogram out;
  std::vector<double> counts(edges.size() - 1, 0);
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    const double number = value;
    out.min = out.count == 0 ? number : std::min(out.min, number);
    out.max = out.count == 0 ? number : std::max(out.max, number);
    out.sum += number;
    out.sum_squares += number * number;
    ++out.count;
    // Buckets are closed on the left; the last one on both sides, and what lies beyond the edges counts at the ends.
    const auto above = std::upper_bound(edges.begin(), edges.end(), number) - edges.begin();
    ++counts[static_cast<size_t>(std::clamp<ptrdiff_t>(above - 1, 0, static_cast<ptrdiff_t>(counts.size()) - 1))];
  }
  const auto used = [](double count) { return count > 0; };
  const auto first = std::find_if(counts.begin(), counts.end(), used);
  if (first == counts.end()) return {0, 0, 0, 0, 0, {0}, {0}};
  const auto last = std::find_if(counts.rbegin(), counts.rend(), used).base();
  const auto start = static_cast<size_t>(first - counts.begin()), end = static_cast<size_t>(last - counts.begin());
  out.right.push_back(edges[start]);
  out.counts.push_back(0);
  for (size_t i = start; i < end; ++i) {
    out.right.push_back(edges[i + 1]);
    out.counts.push_back(counts[i]);
  }
  return out;
}

}  // namespace fathom::loggers
