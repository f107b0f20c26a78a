// The histogram that TensorBoard shows: buckets whose edges grow by a tenth from 1e-12 to 1e20, on both sides of zero,
// PyTorch's default ('tensorflow'). Only the buckets in use are kept, with an empty one before them.
#pragma once

#include <span>
#include <vector>

namespace fathom::loggers {

struct Histogram {
  double min = 0, max = 0, sum = 0, sum_squares = 0;
  double count = 0;                   // of the finite values: others have no bucket
  std::vector<double> right, counts;  // each bucket's right edge, and how many values it has
};
Histogram histogram_of(std::span<const float> values);

}  // namespace fathom::loggers
