#include "plugins/loggers/wandb_logger.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>

#include "plugins/loggers/number_text.h"
#include "plugins/loggers/wall_time.h"

namespace fathom::loggers {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAxis = "trainer/global_step";  // Lightning's x-axis of every metric
constexpr const char* kProducer = "fathom";

std::string json_number(std::string_view name, double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  std::string out;
  append_metric(out, name, value);
  return out;
}

std::string new_wandb_id() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device source;
  std::uniform_int_distribution<size_t> letter(0, kLetters.size() - 1);
  std::string id;
  while (id.size() < 8) id += kLetters[letter(source)];
  return id;
}

std::string host_name() {
  char name[256] = "";
  if (::gethostname(name, sizeof name) != 0) return "";
  name[sizeof name - 1] = '\0';
  return name;
}

std::string local_time(double seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::localtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y%m%d_%H%M%S", &parts)};
}

}  // namespace

void WandbLogger::Options::describe(OptionSet<Options>& o) {
  o("name", &Options::name, "shown for the run");
  o("save_dir", &Options::save_dir, "where the folder wandb is; default the run's folder");
  o("version", &Options::version, "the run's id, where `id` is not given");
  o("offline", &Options::offline, "only true: the run is written to disk, and `wandb sync FOLDER` uploads it");
  o("dir", &Options::dir, "another name of save_dir");
  o("id", &Options::id, "the run's id; default eight letters and digits by chance");
  o("anonymous", &Options::anonymous, "accepted: who uploads the run has an account or not");
  o("project", &Options::project, "default $WANDB_PROJECT, then lightning_logs");
  o("log_model", &Options::log_model, "only false: an offline run has no place for checkpoints");
  o("prefix", &Options::prefix, "put before every metric's name, joined with '-'");
  o("entity", &Options::entity, "the user or team that the run belongs to; default whoever uploads it");
  o("group", &Options::group, "group of runs");
  o("job_type", &Options::job_type, "kind of run, within its group");
  o("tags", &Options::tags, "tags of the run");
  o("notes", &Options::notes, "a description of the run");
  o("resume", &Options::resume, "accepted: a run that is resumed from a checkpoint goes on in its own file");
}

WandbLogger::WandbLogger(const Options& options, const Json& context)
    : options_(options), file_(std::chrono::seconds(5)) {
  const bool uploads_models = options_.log_model != false && !options_.log_model.is_null();
  if (uploads_models) {
    throw Error(Code::kFailed, "an offline run cannot upload checkpoints")
        .at("log_model")
        .seen(json_text(options_.log_model))
        .next("set log_model=false: they are in the run's folder");
  }
  if (!options_.offline) {
    throw Error(Code::kUnavailable, "runs are not sent to W&B's server while they train: its own package does that")
        .at("offline")
        .seen("false")
        .next("leave offline=true, and upload the run with `wandb sync`");
  }
  std::string base = ".";
  if (context.is_object() && context.contains("save_dir") && context["save_dir"].is_string())
    base = context["save_dir"].get<std::string>();
  base = options_.dir.value_or(options_.save_dir.value_or(base));
  root_ = (fs::path(base) / "wandb").lexically_normal();
  id_ = options_.id.value_or(options_.version.value_or(""));
  const bool named = options_.id || options_.version;
  if (named && (id_.empty() || id_.find_first_of("/\\#?%: ") != std::string::npos)) {
    throw Error(Code::kFailed, "cannot be the id of a W&B run")
        .at(options_.id ? "id" : "version")
        .seen(id_)
        .expected("no spaces, and none of / \\ # ? % :");
  }
}

std::vector<WandbItem> WandbLogger::config_items() const {
  std::vector<WandbItem> items;
  if (!hyperparams_.is_object()) return items;
  for (const auto& [key, value] : hyperparams_.items()) items.emplace_back(key, json_text(value));
  return items;
}

// The number of the record that is to be written now. A test that follows the training takes the place of the record
// of its end.
int64_t WandbLogger::next_record() {
  if (end_) {
    file_.reopen(path(), *end_);
    end_.reset();
    --records_;
  }
  return ++records_;
}

void WandbLogger::append(const std::string& record) { file_.append(wandb_pieces(record, file_.size())); }

// Nothing is on disk before the first record: a resumed run may still say what to go on from.
void WandbLogger::start() {
  if (file_.is_open()) return;
  started_ = wall_time();
  if (id_.empty()) id_ = new_wandb_id();
  folder_ = "offline-run-" + local_time(started_) + "-" + id_;
  const std::string folder = root_ + "/" + folder_;
  for (const char* part : {"files", "logs"}) make_folder(folder + "/" + part);
  file_.create(path());
  file_.append(wandb_file_head());
  const char* project = std::getenv("WANDB_PROJECT");
  WandbRun run;
  run.id = id_;
  run.project = options_.project.value_or(project != nullptr && *project != '\0' ? project : "lightning_logs");
  run.entity = options_.entity.value_or("");
  run.group = options_.group.value_or("");
  run.job_type = options_.job_type.value_or("");
  run.name = options_.name.value_or("");
  run.notes = options_.notes.value_or("");
  run.host = host_name();
  run.tags = options_.tags.value_or(std::vector<std::string>());
  run.config = config_items();
  run.started = started_;
  hyperparams_ = nullptr;
  append(wandb_header_record(next_record(), kProducer));
  append(wandb_run_record(next_record(), run));
  append(wandb_metric_record(next_record(), kAxis, ""));
  append(wandb_metric_record(next_record(), "*", kAxis));
  // As W&B's own package: the newest run has a name of its own. A file system without links does without.
  std::error_code error;
  const fs::path latest = root_ + "/latest-run";
  if (fs::is_symlink(latest, error)) fs::remove(latest, error);
  fs::create_directory_symlink(folder_, latest, error);
}

void WandbLogger::log_row(std::vector<WandbItem> items, int64_t step) {
  start();
  const double now = wall_time();
  std::string time, runtime;
  append_float(time, now);
  append_float(runtime, now - started_);
  items.emplace_back(kAxis, std::to_string(step));
  items.emplace_back("_timestamp", time);
  items.emplace_back("_runtime", runtime);
  items.emplace_back("_step", std::to_string(rows_));
  for (const auto& [key, value] : items) summary_[key] = value;
  append(wandb_history_record(next_record(), items, rows_));
  ++rows_;
}

void WandbLogger::log_metrics(std::span<const Metric> metrics, int64_t step) {
  std::vector<WandbItem> items;
  items.reserve(metrics.size() + 4);
  for (const auto& [name, value] : metrics)
    items.emplace_back(options_.prefix.empty() ? std::string(name) : options_.prefix + "-" + std::string(name),
                       json_number(name, value));
  log_row(std::move(items), step);
}

void WandbLogger::log_text(std::string_view name, std::string_view text, int64_t step) {
  const std::string key = options_.prefix.empty() ? std::string(name) : options_.prefix + "-" + std::string(name);
  log_row({{key, json_text(Json(std::string(text)))}}, step);
}

void WandbLogger::log_hyperparams(const Json& hyperparams) {
  hyperparams_ = hyperparams;
  if (!file_.is_open()) return;
  append(wandb_config_record(next_record(), config_items()));
  hyperparams_ = nullptr;
}

void WandbLogger::append_summary() {
  if (summary_.empty()) return;
  append(wandb_summary_record(next_record(), {summary_.begin(), summary_.end()}));
  summary_.clear();
}

void WandbLogger::save() {
  start();  // so that a checkpoint before the first row knows its file too
  append_summary();
  file_.flush();
}

void WandbLogger::finalize(std::string_view status) {
  if (!file_.is_open() && hyperparams_.is_null()) return;
  save();
  if (!end_) {
    constexpr int32_t kInterrupted = 255;  // W&B's own for a run that was stopped by hand
    end_ = file_.size();
    const int32_t code = status == "success" ? 0 : status == "failed" ? 1 : kInterrupted;
    append(wandb_exit_record(++records_, code, static_cast<int32_t>(wall_time() - started_)));
    file_.flush();
    log(LogLevel::kInfo, "wandb", "the run is in " + root_ + "/" + folder_ + "; upload it with `wandb sync`");
  }
}

// Comes after save(), as of any logger.
Json WandbLogger::save_state() const {
  return {{"folder", folder_},   {"id", id_},
          {"started", started_}, {"bytes", end_.value_or(file_.size())},
          {"rows", rows_},       {"records", records_ - (end_ ? 1 : 0)}};
}

void WandbLogger::load_state(const Json& state) {
  const auto folder = state.at("folder").get<std::string>(), id = state.at("id").get<std::string>();
  const auto bytes = state.at("bytes").get<int64_t>();
  const std::string path = root_ + "/" + folder + "/run-" + id + ".wandb";
  if (folder.empty() || folder.find('/') != std::string::npos || !file_size(path)) {
    log(LogLevel::kInfo, "wandb", root_ + ": the earlier run is not here; a new one is started");
    return;
  }
  const std::string old = read_whole_file(path);
  const int64_t good = wandb_valid_prefix(
      std::string_view(old).substr(0, static_cast<size_t>(std::min<int64_t>(bytes, static_cast<int64_t>(old.size())))));
  if (good < 0) throw Error(Code::kBadData, "is no file of a W&B run").at(path);
  if (good != bytes) {
    log(LogLevel::kWarning, "wandb",
        path + ": only " + std::to_string(good) + " of " + std::to_string(bytes) +
            " bytes are valid; what was logged after them is lost");
  }
  folder_ = folder;
  id_ = id;
  started_ = state.at("started").get<double>();
  records_ = state.at("records").get<int64_t>();
  rows_ = state.at("rows").get<int64_t>();
  hyperparams_ = nullptr;
  file_.reopen(path, good);
}

}  // namespace fathom::loggers
