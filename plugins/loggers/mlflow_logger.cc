#include "plugins/loggers/mlflow_logger.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "fathom/utf8.h"
#include "plugins/loggers/hparams_flat.h"
#include "plugins/loggers/number_text.h"
#include "plugins/loggers/wall_time.h"

namespace fathom::loggers {
namespace {

namespace fs = std::filesystem;

constexpr size_t kWaitingBytes = 1 << 16;
constexpr auto kWaitingTime = std::chrono::seconds(5);
constexpr size_t kParamCharacters = 250;  // Lightning's, and the least that any server takes

int64_t milliseconds() { return static_cast<int64_t>(wall_time() * 1000); }

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

std::string cut(const std::string& text, size_t characters) {
  size_t at = 0;
  for (size_t i = 0; i < characters && at < text.size(); ++i) at += utf8::step(text, at);
  return text.substr(0, at);
}

}  // namespace

void MlflowLogger::Options::describe(OptionSet<Options>& o) {
  o("experiment_name", &Options::experiment_name,
    "made where it is not there; null: $MLFLOW_EXPERIMENT_NAME or Default");
  o("run_name", &Options::run_name, "shown for the run; default its version, as its folder's");
  o("tracking_uri", &Options::tracking_uri,
    "file:FOLDER of the store; default $MLFLOW_TRACKING_URI, then save_dir. Servers and databases are refused");
  o("tags", &Options::tags, "tags of the run");
  o("save_dir", &Options::save_dir, "folder of the store where tracking_uri is not given; several runs share it");
  o("prefix", &Options::prefix, "put before every metric's name, joined with '-'");
  o("artifact_location", &Options::artifact_location, "URI for the artifacts of an experiment that is made");
  o("run_id", &Options::run_id, "a run of the store to go on with");
  o("log_model", &Options::log_model, "only false: checkpoints stay in the run's folder");
  o("synchronous", &Options::synchronous, "accepted: rows are always written by this process itself");
}

MlflowLogger::MlflowLogger(const Options& options, const Json& context) : options_(options) {
  if (context.is_object() && context.contains("version") && context["version"].is_string())
    run_name_ = context["version"].get<std::string>();
  run_name_ = options_.run_name.value_or(run_name_);
  const char* uri = environment("MLFLOW_TRACKING_URI");
  if (options_.tracking_uri)
    root_ = mlflow_folder(*options_.tracking_uri, "tracking_uri");
  else if (uri != nullptr)
    root_ = mlflow_folder(uri, "MLFLOW_TRACKING_URI");
  else
    root_ = mlflow_folder(options_.save_dir.value_or("./mlruns"), "save_dir");
  root_ = fs::absolute(root_).lexically_normal();
  const char* name = environment("MLFLOW_EXPERIMENT_NAME");
  experiment_name_ = options_.experiment_name.value_or(name != nullptr ? name : "Default");
  if (options_.log_model != false) {
    throw Error(Code::kUnavailable, "checkpoints are not copied into MLflow's artifacts")
        .at("log_model")
        .seen(json_text(options_.log_model))
        .next("set log_model=false: they are in the run's folder");
  }
  if (!options_.run_id) return;
  if (options_.run_id->find('/') != std::string::npos || !experiment_of_mlflow_run(root_, *options_.run_id)) {
    throw Error(Code::kNoInput, "there is no such run to go on with")
        .at("run_id")
        .seen(*options_.run_id)
        .expected("a run below " + root_)
        .next("leave run_id null for a new run");
  }
}

void MlflowLogger::keep_one_value(MlflowKeys& keys, const char* folder, const std::string& key,
                                  const std::string& value) {
  const std::string path = run_.folder + "/" + folder + "/" + keys.file_of(key);
  make_folder(fs::path(path).parent_path());
  LogFile file(kWaitingTime);
  file.create(path);
  file.append(value);
  file.flush();
}

// Nothing is on disk before the first record: a resumed run may still say what to go on from.
void MlflowLogger::start() {
  if (!run_.folder.empty()) return;
  if (options_.run_id) {
    run_ = read_mlflow_run(root_ + "/" + experiment_of_mlflow_run(root_, *options_.run_id).value_or("") + "/" +
                           *options_.run_id);
    earlier_ = metric_files();
    run_.write_meta(MlflowStatus::kRunning, 0);
  } else {
    make_run();
  }
  write_params();
}

void MlflowLogger::make_run() {
  auto experiment = find_mlflow_experiment(root_, experiment_name_);
  if (!experiment)
    experiment = make_mlflow_experiment(root_, experiment_name_, options_.artifact_location.value_or(""));
  const char* user = environment("USER");
  run_.experiment_id = experiment->id;
  run_.id = new_mlflow_run_id();
  run_.name = run_name_.empty() ? run_.id.substr(0, 8) : run_name_;
  run_.artifact_uri = experiment->artifact_location + "/" + run_.id + "/artifacts";
  run_.user = user != nullptr ? user : "unknown";
  run_.start_ms = milliseconds();
  const std::string folder = root_ + "/" + experiment->id + "/" + run_.id;
  for (const char* part : {"metrics", "params", "tags", "artifacts"}) make_folder(folder + "/" + part);
  run_.folder = folder;
  run_.write_meta(MlflowStatus::kRunning, 0);

  const std::map<std::string, Json> given = options_.tags.value_or(std::map<std::string, Json>());
  std::map<std::string, std::string> tags = {{"mlflow.runName", run_.name},
                                             {"mlflow.user", run_.user},
                                             {"mlflow.source.name", "fathom"},
                                             {"mlflow.source.type", "LOCAL"}};
  for (const auto& [key, value] : given) tags[key] = python_str(value);
  for (const auto& [key, value] : tags) keep_one_value(tag_keys_, "tags", key, value);
}

void MlflowLogger::write_params() {
  if (!hyperparams_) return;
  for (const auto& [key, value] : flat_hparams(*hyperparams_))
    keep_one_value(param_keys_, "params", key, cut(value, kParamCharacters));
  hyperparams_.reset();
}

void MlflowLogger::log_hyperparams(const Json& hyperparams) {
  hyperparams_ = hyperparams;
  if (!run_.folder.empty()) write_params();
}

MlflowLogger::Series& MlflowLogger::series(std::string_view name) {
  const auto found = metrics_.find(name);
  if (found != metrics_.end()) return found->second;
  Series made;
  made.file =
      metric_keys_.file_of(options_.prefix.empty() ? std::string(name) : options_.prefix + "-" + std::string(name));
  // A run that is gone on with by its id has metrics already.
  made.bytes = file_size(run_.folder + "/metrics/" + made.file).value_or(0);
  return metrics_.emplace(name, std::move(made)).first->second;
}

void MlflowLogger::log_metrics(std::span<const Metric> metrics, int64_t step) {
  start();
  const auto now = LogFile::Clock::now();
  if (waiting_bytes_ == 0) oldest_ = now;
  std::string time, end = " ";
  append_integer(time, milliseconds());
  append_integer(end, step);
  for (const auto& metric : metrics) {
    text_ = time + ' ';
    append_float(text_, metric.value);
    text_ += end;
    text_ += '\n';
    series(metric.name).waiting += text_;
    waiting_bytes_ += text_.size();
  }
  if (waiting_bytes_ >= kWaitingBytes || now - oldest_ >= kWaitingTime) flush();
}

// A file is open only while it is written: a run may have more metrics than a process may have files.
void MlflowLogger::flush() {
  if (waiting_bytes_ == 0) return;
  waiting_bytes_ = 0;
  for (auto& [name, one] : metrics_) {
    if (one.waiting.empty()) continue;
    const std::string path = run_.folder + "/metrics/" + one.file;
    LogFile file(kWaitingTime);
    if (one.bytes == 0) {
      make_folder(fs::path(path).parent_path());
      file.create(path);
    } else {
      file.reopen(path, one.bytes);
    }
    file.append(one.waiting);
    file.flush();
    one.bytes = file.size();
    one.waiting.clear();
  }
}

void MlflowLogger::save() {
  start();  // so that a checkpoint before the first row knows its run too
  flush();
}

void MlflowLogger::finalize(std::string_view status) {
  if (run_.folder.empty() && !hyperparams_) return;
  save();
  run_.write_meta(status == "success"  ? MlflowStatus::kFinished
                  : status == "failed" ? MlflowStatus::kFailed
                                       : MlflowStatus::kKilled,
                  milliseconds());
}

// Comes after save(), as of any logger.
Json MlflowLogger::save_state() const {
  Json files = Json::array();
  for (const auto& [name, one] : metrics_) files.push_back({name, one.file, one.bytes});
  return {{"experiment_id", run_.experiment_id},
          {"run_id", run_.id},
          {"metrics", std::move(files)},
          {"earlier", options_detail::dump(earlier_)}};
}

std::vector<std::string> MlflowLogger::metric_files() const {
  std::vector<std::string> files;
  const fs::path folder = run_.folder + "/metrics";
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(folder));
  }
  return files;
}

void MlflowLogger::load_state(const Json& state) {
  const auto id = state.at("run_id").get<std::string>();
  const std::string folder = root_ + "/" + state.at("experiment_id").get<std::string>() + "/" + id;
  if (id.empty() || !file_size(folder + "/meta.yaml")) {
    log(LogLevel::kInfo, "mlflow", root_ + ": the earlier run is not here; a new one is started");
    return;
  }
  run_ = read_mlflow_run(folder);
  hyperparams_.reset();
  for (const Json& one : state.at("metrics")) {
    const auto name = one.at(0).get<std::string>(), file = one.at(1).get<std::string>();
    const auto bytes = one.at(2).get<int64_t>();
    const std::string path = folder + "/metrics/" + file;
    const int64_t kept = continued_at(path, bytes, "mlflow");
    if (file_size(path)) LogFile(kWaitingTime).reopen(path, kept);
    metric_keys_.restore(name, file);
    metrics_[name] = {file, "", kept};
  }
  // Metrics that only the killed run had begun.
  earlier_ = options_detail::read<std::vector<std::string>>(state.at("earlier"), "earlier");
  std::set<std::string> known(earlier_.begin(), earlier_.end());
  for (const auto& [name, one] : metrics_) known.insert(one.file);
  for (const auto& file : metric_files()) {
    if (!known.contains(file)) fs::remove(folder + "/metrics/" + file);
  }
  run_.write_meta(MlflowStatus::kRunning, 0);
}

}  // namespace fathom::loggers
