// metrics.csv, as our csv logger and Lightning's write it: a header, then a row for each call, with empty cells. No
// torch. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fathom::runs {

// What one metric was, in the order of the file.
struct MetricColumn {
  std::string name;
  std::vector<uint32_t> rows;  // of the file, from 0
  std::vector<double> values;  // nan and inf as written

  struct Extremes {
    double least = 0, greatest = 0;
    uint32_t least_row = 0, greatest_row = 0;
  };
  // Of the finite values, each where it came first; nothing without any.
  std::optional<Extremes> extremes() const;
};

struct MetricTable {
  std::string path;
  std::vector<MetricColumn> metrics;  // without epoch and step
  std::vector<double> epoch, step;    // of every row; NaN where it is not given
  const MetricColumn* find(const std::string& name) const;
  std::vector<std::string> names() const;  // of those that have a value
  // The highest epoch that was begun and the highest step; nothing without any.
  std::optional<int64_t> last_epoch() const, last_step() const;
};

// Throws Error: kNoInput, kIo; kBadData with file:line for what is no such file. A last line without its end, which was
// being written when a run died, is left out.
MetricTable read_metrics(const std::string& path);

}  // namespace fathom::runs
