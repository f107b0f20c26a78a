#include "core/runs/run_listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>

#include "core/base/file.h"
#include "core/config/access.h"
#include "core/config/json.h"
#include "core/config/yaml_loader.h"
#include "core/runs/metric_table.h"
#include "core/runs/run_folder.h"
#include "core/runs/run_record.h"
#include "fathom/utf8.h"

namespace fathom::runs {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 8;  // folders below the one asked about

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// What exp_manager and Lightning call the runs of an experiment: version_3, 2026-01-31_12-00-00.
bool is_version(std::string_view name) {
  if (name.starts_with("version_")) return is_digits(name.substr(8));
  constexpr std::string_view kShape = "dddd-dd-dd_dd-dd-dd";
  return name.size() == kShape.size() && std::equal(name.begin(), name.end(), kShape.begin(), [](char c, char shape) {
           return shape == 'd' ? c >= '0' && c <= '9' : c == shape;
         });
}

// Where exp_manager moves the files of earlier runs in the same folder.
bool is_set_aside(std::string_view name) { return name.starts_with("run_") && is_digits(name.substr(4)); }

void name_by_folder(RunInfo& run) {
  const fs::path path = fs::absolute(run.folder).lexically_normal();
  const fs::path folder = path.has_filename() ? path : path.parent_path();
  const std::string own = folder.filename(), parent = folder.parent_path().filename();
  const bool versioned = is_version(own) || is_set_aside(own);
  run.name = versioned ? parent : own;
  run.version = versioned ? own : "";
}

// Calls `read`; an error goes to `on_problem`.
template <typename Read>
void attempt(const std::string& path, const OnProblem& on_problem, Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    on_problem(error);
  } catch (const std::exception& error) {
    on_problem(Error(Code::kBadData, error.what()).at(path));
  }
}

// What a run without a record was told to watch, where its config says so.
void read_monitor_of_config(RunInfo& run, const OnProblem& on_problem) {
  const std::string path = run.folder + "/config.yaml";
  if (!file_exists(path)) return;
  attempt(path, on_problem, [&] {
    const config::Node job = config::load_yaml_text(read_file(path), path);
    const config::Node* node = config::find_path(job, "exp_manager.checkpoint_callback_params");
    if (node == nullptr || !node->is_map()) return;
    const Json params(config::to_json(*node));
    run.monitor = text_at(params, "monitor");
    run.mode = text_at(params, "mode").empty() ? "min" : text_at(params, "mode");
    if (run.mode != "min" && run.mode != "max") run.mode.clear();
  });
}

void take_record(RunInfo& run, const Json& record) {
  run.recorded = true;
  run.state = text_at(record, "status");
  run.reason = text_at(record, run.state == "failed" ? "error" : "reason");
  if (!text_at(record, "name").empty()) {
    run.name = text_at(record, "name");
    run.version = text_at(record, "version");
  }
  run.started = text_at(record, "started");
  const auto monitors = record.find("monitors");
  const Json best = record.value("best", Json());
  const std::string kept_by = text_at(best, "metric");
  if (monitors != record.end() && monitors->is_array()) {
    for (const Json& monitor : *monitors) {  // the checkpoints' own, else the last one: they come after early stops
      if (!kept_by.empty() && text_at(monitor, "metric") != kept_by) continue;
      run.monitor = text_at(monitor, "metric");
      run.mode = text_at(monitor, "mode");
    }
  }
  if (run.state == "running") {
    const auto at_work = is_at_work(record);
    if (!at_work)
      run.host = text_at(record, "host");
    else if (!*at_work)
      run.state = "killed";
    return;
  }
  run.best = number_at(best, "score");
  run.best_checkpoint = text_at(best, "path");
  if (!run.best_checkpoint.empty() && !file_exists(run.best_checkpoint)) {  // the folder was moved, or the file removed
    run.best_checkpoint = run.folder + "/checkpoints/" + fs::path(run.best_checkpoint).filename().string();
    if (!file_exists(run.best_checkpoint)) run.best_checkpoint.clear();
  }
  // A run that failed before it counted left zeros, which its files know better.
  if (run.state == "failed") return;
  run.epochs = count_at(record, "epochs");
  run.global_step = count_at(record, "global_step");
}

bool is_better(double value, double other, const std::string& mode) {
  return mode == "max" ? value > other : value < other;
}

// The best of the checkpoints by the value in their names. Where the mode is not known, only one that is alone.
void take_best_of_names(RunInfo& run, const std::vector<CheckpointFile>& files) {
  std::vector<const CheckpointFile*> kept;
  for (const auto& file : files) {
    if (!file.is_last && !file.is_end && !file.is_average) kept.push_back(&file);
  }
  if (run.monitor.empty() && kept.size() == 1) {
    const auto metrics = metrics_in_name(kept[0]->path);
    if (metrics.size() == 1) run.monitor = metrics[0];
  }
  if (run.monitor.empty() || (run.mode.empty() && kept.size() != 1)) return;
  std::optional<double> best;
  for (const auto* file : kept) {
    const auto value = number_in_name(file->path, run.monitor);
    if (!value || std::isnan(*value) || (best && !is_better(*value, *best, run.mode))) continue;
    best = *value;
    run.best_checkpoint = file->path;
  }
  if (!run.best) run.best = best;
}

void take_metrics(RunInfo& run, const OnProblem& on_problem) {
  const std::string path = run.folder + "/metrics.csv";
  if (!file_exists(path)) return;
  attempt(path, on_problem, [&] {
    const MetricTable table = read_metrics(path);
    if (const auto epoch = table.last_epoch(); epoch && !run.epochs) run.epochs = *epoch + 1;
    if (const auto step = table.last_step(); step && !run.global_step) run.global_step = *step + 1;
    const MetricColumn* column = run.monitor.empty() || run.best ? nullptr : table.find(run.monitor);
    const auto extremes = column == nullptr ? std::nullopt : column->extremes();
    if (extremes && !run.mode.empty()) run.best = run.mode == "max" ? extremes->greatest : extremes->least;
  });
}

void walk(const std::string& folder, int depth, const ListOptions& options, const OnProblem& on_problem,
          std::vector<RunInfo>& out) {
  const bool is_run = look_at_folder(folder).is_run;
  if (is_run) out.push_back(read_run(folder, on_problem));
  if (depth == kDeepest) return;
  std::vector<std::string> below;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    std::error_code unknown;
    if (name.starts_with(".") || entry->is_symlink(unknown) || !entry->is_directory(unknown)) continue;
    if (is_run && (name == "checkpoints" || (is_set_aside(name) && !options.set_aside))) continue;
    below.push_back(entry->path());
  }
  if (error) on_problem(Error(Code::kIo, "cannot read the folder: " + error.message()).at(folder));
  std::sort(below.begin(), below.end());
  for (const auto& path : below) walk(path, depth + 1, options, on_problem, out);
}

std::string time_text(double seconds, const char* format, bool utc) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  utc ? ::gmtime_r(&time, &parts) : ::localtime_r(&time, &parts);
  char text[40];
  std::strftime(text, sizeof text, format, &parts);
  return text;
}

// -1: `a` comes first. What is absent comes last in either direction.
template <typename T>
int compare(const std::optional<T>& a, const std::optional<T>& b, bool descending) {
  if (!a || !b) return a ? -1 : b ? 1 : 0;
  if (*a == *b) return 0;
  return (*a < *b) != descending ? -1 : 1;
}

std::optional<std::string> given(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

std::string count_text(const std::optional<int64_t>& count) { return count ? std::to_string(*count) : "-"; }

}  // namespace

std::optional<RunOrder> run_order(const std::string& word) {
  const auto& words = run_order_words();
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) return std::nullopt;
  return static_cast<RunOrder>(found - words.begin());
}

const std::vector<std::string>& run_order_words() {
  static const std::vector<std::string> kWords = {"changed", "started", "name", "state", "epochs", "step", "best"};
  return kWords;
}

bool is_run_folder(const std::string& folder) { return look_at_folder(folder).is_run; }

RunInfo read_run(const std::string& folder, const OnProblem& on_problem) {
  RunInfo run;
  run.folder = folder;
  name_by_folder(run);
  if (const double changed = look_at_folder(folder).changed; changed > 0) run.changed = changed;
  attempt(folder, on_problem, [&] {
    if (const auto record = read_record(folder)) take_record(run, *record);
  });
  const std::vector<CheckpointFile> files = checkpoint_files(folder);
  if (!run.recorded) {
    read_monitor_of_config(run, on_problem);
    if (const auto end = logged_end(folder)) {
      run.state = end->state;
      run.reason = end->reason;
    } else if (std::any_of(files.begin(), files.end(), [](const auto& file) { return file.is_end; })) {
      run.state = "finished";  // as exp_manager takes it
    }
  }
  const bool ended = run.recorded && run.epochs && run.global_step;
  if (!ended) take_metrics(run, on_problem);
  if (run.best_checkpoint.empty()) take_best_of_names(run, files);
  for (const auto& file : files) {
    if (ended) break;
    if (file.epoch) run.epochs = std::max(run.epochs.value_or(0), *file.epoch + 1);
    if (file.step) run.global_step = std::max(run.global_step.value_or(0), *file.step);
  }
  return run;
}

std::vector<RunInfo> find_runs(const std::string& root, const ListOptions& options, const OnProblem& on_problem) {
  std::error_code error;
  if (!fs::is_directory(root, error)) {
    throw Error(Code::kNoInput, error && error != std::errc::no_such_file_or_directory
                                    ? "cannot look at the folder: " + error.message()
                                    : "there is no such folder")
        .at(root)
        .expected("a folder with runs, such as nemo_experiments or lightning_logs");
  }
  std::vector<RunInfo> out;
  walk(root, 0, options, on_problem, out);
  return out;
}

void sort_runs(std::vector<RunInfo>& runs, RunOrder order, bool reverse) {
  const auto first = [&](const RunInfo& a, const RunInfo& b) {
    switch (order) {
      case RunOrder::kChanged: return compare(a.changed, b.changed, !reverse);
      case RunOrder::kStarted: return compare(given(a.started), given(b.started), !reverse);
      case RunOrder::kName: return compare(given(a.name + "\n" + a.version), given(b.name + "\n" + b.version), reverse);
      case RunOrder::kState: return compare(given(a.state), given(b.state), reverse);
      case RunOrder::kEpochs: return compare(a.epochs, b.epochs, !reverse);
      case RunOrder::kStep: return compare(a.global_step, b.global_step, !reverse);
      case RunOrder::kBest: {
        // Values of different metrics do not compare.
        if (!a.best || !b.best) return compare(a.best, b.best, false);
        if (a.monitor != b.monitor) return a.monitor < b.monitor ? -1 : 1;
        if (a.mode != b.mode) return a.mode < b.mode ? -1 : 1;
        return compare(a.best, b.best, (a.mode == "max") != reverse);
      }
    }
    return 0;
  };
  std::stable_sort(runs.begin(), runs.end(), [&](const RunInfo& a, const RunInfo& b) {
    const int by_order = first(a, b);
    return by_order != 0 ? by_order < 0 : a.folder < b.folder;
  });
}

Json to_json(const RunInfo& run) {
  const auto text = [](const std::string& value) { return value.empty() ? Json(nullptr) : Json(value); };
  Json best = nullptr;
  if (run.best || !run.best_checkpoint.empty()) {
    best = {{"metric", text(run.monitor)},
            {"mode", text(run.mode)},
            {"value", run.best ? Json(*run.best) : Json(nullptr)},
            {"checkpoint", text(run.best_checkpoint)}};
  }
  return with_utf8(
      {{"name", run.name},
       {"version", text(run.version)},
       {"folder", run.folder},
       {"state", run.state},
       {"reason", text(run.reason)},
       {"host", text(run.host)},
       {"recorded", run.recorded},
       {"epochs", run.epochs ? Json(*run.epochs) : Json(nullptr)},
       {"global_step", run.global_step ? Json(*run.global_step) : Json(nullptr)},
       {"best", std::move(best)},
       {"started", text(run.started)},
       {"changed", run.changed ? Json(time_text(*run.changed, "%Y-%m-%dT%H:%M:%SZ", true)) : Json(nullptr)}});
}

std::string runs_text(const std::vector<RunInfo>& runs) {
  if (runs.empty()) return "";
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "VERSION", "STATE", "EPOCHS", "STEPS", "BEST", "CHANGED", "FOLDER", "BEST CHECKPOINT"}};
  for (const RunInfo& run : runs) {
    const std::string best = run.best ? fmt::format("{} {:.4g}", run.monitor, *run.best) : "-";
    rows.push_back({run.name, run.version.empty() ? "-" : run.version,
                    run.host.empty() ? run.state : run.state + " on " + run.host, count_text(run.epochs),
                    count_text(run.global_step), best,
                    run.changed ? time_text(*run.changed, "%Y-%m-%d %H:%M", false) : "-", run.folder,
                    run.best_checkpoint.empty() ? "-" : fs::path(run.best_checkpoint).filename().string()});
  }
  std::vector<size_t> widths(rows[0].size(), 0);
  for (auto& row : rows) {
    for (std::string& cell : row) {  // names may hold line ends and what steers a terminal
      for (char& c : cell) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], utf8::length(row[c]));
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) {
      const bool is_count = c == 3 || c == 4;
      const std::string space(widths[c] - utf8::length(row[c]), ' ');
      if (is_count) out += space;
      out += row[c];
      if (c + 1 == row.size()) break;
      out += (is_count ? "" : space) + "  ";
    }
    out += "\n";
  }
  return out;
}

}  // namespace fathom::runs
