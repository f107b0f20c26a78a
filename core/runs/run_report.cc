#include "core/runs/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/base/file.h"
#include "core/runs/metric_table.h"
#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::runs {
namespace {

namespace fs = std::filesystem;

std::string value_text(double value) { return fmt::format("{:.6g}", value); }

std::string place_text(const MetricTable& table, uint32_t row) {
  const double epoch = table.epoch[row], step = table.step[row];
  std::string out;
  if (epoch >= 0) out += fmt::format("epoch {:.0f}", epoch);
  if (step >= 0) out += fmt::format("{}step {:.0f}", out.empty() ? "" : ", ", step);
  return out;
}

const MonitoredMetric* monitor_of(const RunSummary& summary, const std::string& metric) {
  const auto found = std::find_if(summary.monitors.begin(), summary.monitors.end(),
                                  [&](const MonitoredMetric& monitor) { return monitor.metric == metric; });
  return found == summary.monitors.end() ? nullptr : &*found;
}

MetricTable metrics_of(const RunSummary& summary) {
  const std::string path = summary.log_dir + "/metrics.csv";
  if (summary.log_dir.empty() || !file_exists(path)) return {};
  try {
    return read_metrics(path);
  } catch (const Error&) {  // of another logger's making, or being written: the last values are known without it
    return {};
  }
}

std::string metric_rows(const RunSummary& summary) {
  const MetricTable table = metrics_of(summary);
  std::vector<std::vector<std::string>> rows = {{"Metric", "Last", "Min", "Max", "Best"}};
  for (const auto& [name, last] : summary.metrics) {
    std::vector<std::string> row = {name, value_text(last), "-", "-", ""};
    const MetricColumn* column = table.find(name);
    const auto extremes = column == nullptr ? std::nullopt : column->extremes();
    const MonitoredMetric* monitor = monitor_of(summary, name);
    if (monitor != nullptr) row[0] += " (" + monitor->mode + ")";
    if (extremes) {
      // The last value may be of a step that no row was written for.
      row[2] = value_text(last < extremes->least ? last : extremes->least);
      row[3] = value_text(last > extremes->greatest ? last : extremes->greatest);
    }
    if (extremes && monitor != nullptr) {
      const bool max = monitor->mode == "max";
      const bool at_end = max ? last > extremes->greatest : last < extremes->least;
      row[4] = (max ? row[3] : row[2]) + " at " +
               (at_end ? "the end" : place_text(table, max ? extremes->greatest_row : extremes->least_row));
    }
    rows.push_back(std::move(row));
  }
  if (rows.size() == 1) return "";
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], utf8::length(row[c]));
  }
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t c = 0; c < rows[r].size(); ++c) {
      const std::string space(widths[c] - utf8::length(rows[r][c]), ' ');
      const bool is_number = c >= 1 && c <= 3;
      line += (c == 0 ? "" : " | ") + (is_number ? space + rows[r][c] : rows[r][c] + space);
    }
    const size_t length = line.size();
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    if (r == 0) out += std::string(length, '-') + "\n";
  }
  return out;
}

// The checkpoint to go on from: the newest "-last" that is there, else the newest.
std::string last_checkpoint(const RunSummary& summary) {
  std::string newest;
  for (auto path = summary.checkpoints.rbegin(); path != summary.checkpoints.rend(); ++path) {
    if (!file_exists(*path)) continue;
    if (path->ends_with("last.ckpt")) return *path;
    if (newest.empty()) newest = *path;
  }
  return newest;
}

}  // namespace

std::string run_report(const RunSummary& summary) {
  std::string out = metric_rows(summary);
  if (!out.empty()) out += "\n";
  const auto place = [&](const char* what, const std::string& path, const std::string& more = "") {
    if (!path.empty()) out += fmt::format("{:<16}{}{}\n", what, path, more);
  };
  place("run folder", summary.log_dir);
  const std::string score =
      summary.best_metric.empty() ? "" : fmt::format("  ({} {})", summary.best_metric, value_text(summary.best_score));
  place("best checkpoint", summary.best_path, score);
  place("last checkpoint", last_checkpoint(summary));
  place("model", summary.nemo);
  std::string logs;
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(summary.log_dir, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const bool is_log = name == "metrics.csv" || name.starts_with("events.out.tfevents") ||
                        name.starts_with("nemo_log_") || name.starts_with("profile.");
    if (is_log) logs += (logs.empty() ? "" : ", ") + name;
  }
  place("logs", logs);
  if (!out.empty()) out.pop_back();
  return out;
}

}  // namespace fathom::runs
