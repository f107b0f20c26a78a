#include "core/runs/run_listing.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/base/file.h"
#include "core/config/access.h"
#include "core/config/json.h"
#include "core/config/yaml_loader.h"
#include "core/runs/metric_table.h"
#include "core/runs/run_folder.h"
#include "core/runs/run_record.h"

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

}  // namespace

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

}  // namespace fathom::runs
