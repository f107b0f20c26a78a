#include "core/runs/curves.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/runs/event_times.h"
#include "core/runs/metric_table.h"
#include "core/runs/run_listing.h"

namespace fathom::runs {
namespace {

namespace fs = std::filesystem;

using Note = std::function<void(const std::string& note)>;

struct Source {
  std::string label, folder;
  MetricTable table;
};

// The files of metrics that a word names.
std::vector<std::string> metric_files(const std::string& word) {
  std::error_code error;
  if (!fs::is_directory(word, error)) return {word};  // whoever reads it says what is wrong with it
  if (file_exists(word + "/metrics.csv")) return {word + "/metrics.csv"};
  std::vector<std::string> files;
  for (const RunInfo& run : find_runs(word, {}, [](const Error& problem) { throw problem; })) {
    if (file_exists(run.folder + "/metrics.csv")) files.push_back(run.folder + "/metrics.csv");
  }
  if (files.empty()) {
    throw Error(Code::kNoInput, "there is no run with a metrics.csv below this folder")
        .at(word)
        .next("exp_manager.create_csv_logger=true has a run write one");
  }
  return files;
}

// Without the folders that all have in common.
void shorten_labels(std::vector<Source>& sources) {
  std::string common = sources[0].folder.substr(0, sources[0].folder.rfind('/') + 1);
  for (const Source& source : sources) {
    while (!common.empty() && !source.folder.starts_with(common))
      common.resize(common.size() < 2 ? 0 : common.rfind('/', common.size() - 2) + 1);
  }
  for (Source& source : sources) source.label = source.folder.substr(common.size());
}

std::vector<Source> read_sources(const std::vector<std::string>& words, const Note& note) {
  std::vector<Source> sources;
  for (const std::string& word : words) {
    for (const std::string& file : metric_files(word)) {
      const fs::path folder = fs::absolute(file).lexically_normal().parent_path();
      const bool known = std::any_of(sources.begin(), sources.end(),
                                     [&](const Source& s) { return s.table.path == file || s.folder == folder; });
      if (known) continue;
      sources.push_back({"", folder, read_metrics(file)});
      if (!sources.back().table.names().empty()) continue;
      note(file + ": holds no metrics yet; the run is left out");
      sources.pop_back();
    }
  }
  if (sources.empty()) throw Error(Code::kFailed, "none of the runs has metrics to draw").seen(join(words, ", "));
  shorten_labels(sources);
  return sources;
}

// How long its steps took says little about what a run learns: drawn when asked for.
bool is_timing(const std::string& metric) { return metric.ends_with(" in s"); }

std::vector<std::string> common_metrics(const std::vector<Source>& sources) {
  std::vector<std::string> common;
  for (const std::string& metric : sources[0].table.names()) {
    const bool everywhere = std::all_of(sources.begin(), sources.end(), [&](const Source& source) {
      const MetricColumn* column = source.table.find(metric);
      return column != nullptr && !column->rows.empty();
    });
    if (everywhere && !is_timing(metric)) common.push_back(metric);
  }
  if (!common.empty()) return common;
  std::string seen;
  for (const Source& source : sources)
    seen += (seen.empty() ? "" : "; ") + source.label + ": " + join(source.table.names(), ", ");
  throw Error(Code::kFailed, "the runs have no metric in common").seen(seen).next("choose with --metric NAME");
}

void check_metrics(const std::vector<std::string>& metrics, const std::vector<Source>& sources, const Note& note) {
  for (const std::string& metric : metrics) {
    std::vector<std::string> without, known;
    for (const Source& source : sources) {
      const auto names = source.table.names();
      known.insert(known.end(), names.begin(), names.end());
      if (std::find(names.begin(), names.end(), metric) == names.end()) without.push_back(source.label);
    }
    if (without.size() == sources.size()) {
      std::sort(known.begin(), known.end());
      known.erase(std::unique(known.begin(), known.end()), known.end());
      throw Error(Code::kFailed, "no run has this metric")
          .at("--metric")
          .seen(metric)
          .expected(join(known, ", "))
          .candidates(nearest_names(metric, known));
    }
    if (!without.empty()) note(metric + ": not in " + join(without, ", "));
  }
}

// One point an epoch: the mean of what is finite.
void fill_by_epoch(const MetricTable& table, const MetricColumn& column, Curve& curve) {
  std::map<double, std::pair<double, int64_t>> sums;
  for (size_t i = 0; i < column.rows.size(); ++i) {
    const double epoch = table.epoch[column.rows[i]];
    if (!std::isfinite(epoch)) continue;
    auto& [sum, count] = sums[epoch];
    if (!std::isfinite(column.values[i])) continue;
    sum += column.values[i];
    ++count;
  }
  for (const auto& [epoch, sum] : sums) {
    curve.x.push_back(epoch);
    curve.y.push_back(sum.second == 0 ? NAN : sum.first / static_cast<double>(sum.second));
  }
}

void fill_by_row(const MetricTable& table, const MetricColumn& column, const std::map<int64_t, double>* times,
                 Curve& curve) {
  for (size_t i = 0; i < column.rows.size(); ++i) {
    const double step = table.step[column.rows[i]];
    if (!std::isfinite(step)) continue;
    double x = step;
    if (times != nullptr) {
      // Of the last event up to this step: rows and events are written together.
      auto after = times->upper_bound(static_cast<int64_t>(step));
      if (after == times->begin()) continue;
      x = std::prev(after)->second - times->begin()->second;
    }
    curve.x.push_back(x);
    curve.y.push_back(column.values[i]);
  }
}

// Steps of an evaluation count their own batches, so that they come again and again.
void sort_by_x(Curve& curve) {
  if (std::is_sorted(curve.x.begin(), curve.x.end())) return;
  std::vector<size_t> order(curve.x.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return curve.x[a] < curve.x[b]; });
  Curve sorted = curve;
  for (size_t i = 0; i < order.size(); ++i) {
    sorted.x[i] = curve.x[order[i]];
    sorted.y[i] = curve.y[order[i]];
  }
  curve = std::move(sorted);
}

// The running mean that TensorBoard draws: without the pull towards 0 that its first values would have.
void smooth(Curve& curve, double weight) {
  double mean = 0, share = 0;
  for (const double y : curve.y) {
    if (!std::isfinite(y)) {
      curve.smooth.push_back(y);
      continue;
    }
    mean = weight * mean + (1 - weight) * y;
    share = weight * share + (1 - weight);
    curve.smooth.push_back(mean / share);
  }
}

}  // namespace

CurveSet make_curves(const std::vector<std::string>& folders, const CurveOptions& options, const Note& note) {
  const std::vector<Source> sources = read_sources(folders, note);
  CurveSet set;
  set.log = options.log;
  set.x_label = options.axis == CurveAxis::kStep ? "step" : options.axis == CurveAxis::kEpoch ? "epoch" : "seconds";
  std::vector<std::string> metrics = options.metrics;
  if (metrics.empty())
    metrics = common_metrics(sources);
  else
    check_metrics(metrics, sources, note);
  std::vector<std::map<int64_t, double>> times(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    set.runs.push_back(sources[i].label);
    if (options.axis != CurveAxis::kTime) continue;
    times[i] = event_times(sources[i].folder);
    if (times[i].empty()) {
      throw Error(Code::kFailed, "it is not known when this run logged its steps")
          .at(sources[i].folder)
          .expected("an events.out.tfevents file beside metrics.csv")
          .next("use --x step, or let the run write TensorBoard events");
    }
  }
  for (const std::string& metric : metrics) {
    CurvePanel panel;
    panel.metric = metric;
    for (size_t i = 0; i < sources.size(); ++i) {
      const MetricTable& table = sources[i].table;
      const MetricColumn* column = table.find(metric);
      if (column == nullptr || column->rows.empty()) continue;
      Curve curve;
      curve.run = sources[i].label;
      curve.colour = i;
      if (options.axis == CurveAxis::kEpoch)
        fill_by_epoch(table, *column, curve);
      else
        fill_by_row(table, *column, options.axis == CurveAxis::kTime ? &times[i] : nullptr, curve);
      sort_by_x(curve);
      if (options.smooth > 0) smooth(curve, options.smooth);
      panel.curves.push_back(std::move(curve));
    }
    set.panels.push_back(std::move(panel));
  }
  return set;
}

}  // namespace fathom::runs
