#include "plugins/tts/metrics/frame_alignment.h"

#include <algorithm>
#include <limits>

namespace fathom::tts {

std::vector<std::pair<int64_t, int64_t>> align_frames(const float* cost, int64_t rows, int64_t columns) {
  enum Step : uint8_t { kBoth, kRow, kColumn };
  const auto cells = static_cast<size_t>(rows * columns);
  std::vector<double> best(cells);
  std::vector<Step> steps(cells);
  const auto cell = [&](int64_t i, int64_t j) { return static_cast<size_t>(i * columns + j); };
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      constexpr double kNever = std::numeric_limits<double>::infinity();
      const double both = i > 0 && j > 0 ? best[cell(i - 1, j - 1)] : kNever;
      const double row = i > 0 ? best[cell(i - 1, j)] : kNever, column = j > 0 ? best[cell(i, j - 1)] : kNever;
      const double least = i == 0 && j == 0 ? 0 : std::min({both, row, column});
      steps[cell(i, j)] = least == both ? kBoth : least == row ? kRow : kColumn;
      best[cell(i, j)] = least + static_cast<double>(cost[cell(i, j)]);
    }
  }
  std::vector<std::pair<int64_t, int64_t>> path;
  for (int64_t i = rows - 1, j = columns - 1;;) {
    path.emplace_back(i, j);
    if (i == 0 && j == 0) break;
    const Step step = i == 0 ? kColumn : j == 0 ? kRow : steps[cell(i, j)];
    if (step != kColumn) --i;
    if (step != kRow) --j;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace fathom::tts
