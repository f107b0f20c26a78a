#include "plugins/loggers/tensorboard_logger.h"

#include <algorithm>

#include "plugins/loggers/hparams_yaml.h"
#include "plugins/loggers/wall_time.h"

namespace fathom::loggers {

void TensorBoardLogger::Options::describe(OptionSet<Options>& o) {
  o.include<FolderOptions>();
  o("sub_dir", &Options::sub_dir, "folder below the version");
  o("prefix", &Options::prefix, "put before every tag, joined with '-'");
  o("filename_suffix", &Options::filename_suffix, "end of the event file's name");
  o("comment", &Options::comment, "accepted: a folder is always given, so nothing is appended to it, as in PyTorch");
  o("max_queue", &Options::max_queue, "accepted: rows wait for flush_secs or 64 KiB, whichever is first");
  o("flush_secs", &Options::flush_secs, "what was logged is written after at most this time", "s");
  o("log_graph", &Options::log_graph, "only false: graphs are not recorded");
  o("default_hp_metric", &Options::default_hp_metric,
    "writes the placeholder hp_metric = -1 beside the config, as Lightning does");
  o("purge_step", &Options::purge_step, "only null: a resumed run cuts its file back to the checkpoint by itself");
}

TensorBoardLogger::TensorBoardLogger(const Options& options, const Json& context)
    : options_(options),
      folder_(logger_folder(options, context, options.sub_dir.value_or(""))),
      file_(std::chrono::seconds(std::max<int64_t>(0, options.flush_secs))) {
  if (options_.log_graph) {
    throw Error(Code::kUnavailable, "graphs are not recorded").at("log_graph").seen("true").next("set log_graph=false");
  }
  if (options_.purge_step) {
    throw Error(Code::kUnavailable, "steps are not purged by number")
        .at("purge_step")
        .seen(std::to_string(*options_.purge_step))
        .next("leave it null: a resumed run drops what came after its checkpoint");
  }
}

// Nothing is on disk before the first record: a resumed run may still say what to go on from.
void TensorBoardLogger::start() {
  if (file_.is_open()) return;
  make_folder(folder_);
  name_ = event_file_name(static_cast<int64_t>(wall_time()), options_.filename_suffix);
  file_.create(path());
  record_.clear();
  append_version_event(record_, wall_time());
  if (hyperparams_) {
    append_text_event(record_, wall_time(), 0, "hparams/text_summary", *hyperparams_);
    const Scalar placeholder{"hp_metric", -1.0f};
    if (options_.default_hp_metric) append_scalars_event(record_, wall_time(), 0, {&placeholder, 1});
    hyperparams_.reset();
  }
  file_.append(record_);
}

std::string TensorBoardLogger::tag(std::string_view name) const {
  return options_.prefix.empty() ? std::string(name) : options_.prefix + "-" + std::string(name);
}

void TensorBoardLogger::log_metrics(std::span<const Metric> metrics, int64_t step) {
  start();
  scalars_.clear();
  tags_.clear();
  tags_.reserve(metrics.size());  // views into it must stay
  for (const auto& metric : metrics) {
    std::string_view name = metric.name;
    if (!options_.prefix.empty()) name = tags_.emplace_back(tag(metric.name));
    scalars_.push_back({name, static_cast<float>(metric.value)});
  }
  record_.clear();
  append_scalars_event(record_, wall_time(), step, scalars_);
  file_.append(record_);
}

void TensorBoardLogger::log_hyperparams(const Json& hyperparams) {
  std::string text = "    " + to_yaml(hyperparams);  // indented by four: Markdown shows it as it is
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos && at + 1 < text.size(); at += 5)
    text.insert(at + 1, "    ");
  hyperparams_ = std::move(text);
}

void TensorBoardLogger::log_text(std::string_view name, std::string_view text, int64_t step) {
  start();
  record_.clear();
  append_text_event(record_, wall_time(), step, tag(name) + "/text_summary", text);
  file_.append(record_);
}

void TensorBoardLogger::log_histogram(std::string_view name, std::span<const float> values, int64_t step) {
  start();
  record_.clear();
  append_histogram_event(record_, wall_time(), step, tag(name), histogram_of(values));
  file_.append(record_);
}

void TensorBoardLogger::log_audio(std::string_view name, const Audio& audio, int64_t step) {
  start();
  record_.clear();
  append_audio_event(record_, wall_time(), step, tag(name), audio);
  file_.append(record_);
}

void TensorBoardLogger::log_image(std::string_view name, const Image& image, int64_t step) {
  start();
  record_.clear();
  append_image_event(record_, wall_time(), step, tag(name), image);
  file_.append(record_);
}

void TensorBoardLogger::save() {
  start();  // so that a checkpoint before the first row knows its file too
  file_.flush();
}

void TensorBoardLogger::finalize(std::string_view) {
  if (hyperparams_ || file_.is_open()) save();
}

// Comes after save(), as of any logger.
Json TensorBoardLogger::save_state() const { return {{"file", name_}, {"bytes", file_.size()}}; }

void TensorBoardLogger::load_state(const Json& state) {
  name_ = state.at("file").get<std::string>();
  const auto bytes = state.at("bytes").get<int64_t>();
  if (name_.empty() || name_.find('/') != std::string::npos || !file_size(path())) {
    log(LogLevel::kInfo, "tensorboard",
        folder_ + ": the event file of the earlier run is not here; a new one is started");
    name_.clear();
    return;
  }
  const std::string old = read_whole_file(path());
  const int64_t good = valid_prefix(
      std::string_view(old).substr(0, static_cast<size_t>(std::min<int64_t>(bytes, static_cast<int64_t>(old.size())))));
  if (good != bytes) {
    log(LogLevel::kWarning, "tensorboard",
        path() + ": only " + std::to_string(good) + " of " + std::to_string(bytes) +
            " bytes are valid; what was logged after them is lost");
  }
  file_.reopen(path(), good);
  hyperparams_.reset();
}

}  // namespace fathom::loggers
