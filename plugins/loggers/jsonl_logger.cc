#include "plugins/loggers/jsonl_logger.h"

#include <chrono>
#include <cmath>

#include "plugins/loggers/hparams_yaml.h"
#include "plugins/loggers/number_text.h"

namespace fathom::loggers {

void JsonlLogger::Options::describe(OptionSet<Options>& o) {
  o.include<FolderOptions>();
  o("prefix", &Options::prefix, "put before every metric's name, joined with '-'");
  o("flush_logs_every_n_steps", &Options::flush_logs_every_n_steps,
    "lines that may wait in memory before they are written");
}

JsonlLogger::JsonlLogger(const Options& options, const Json& context)
    : options_(options), folder_(logger_folder(options, context)), file_(std::chrono::seconds(5)) {
  if (options_.flush_logs_every_n_steps < 1) {
    throw Error(Code::kFailed, "lines have to be written at some time")
        .at("flush_logs_every_n_steps")
        .seen(std::to_string(options_.flush_logs_every_n_steps))
        .expected("at least 1");
  }
}

const std::string& JsonlLogger::key(std::string_view name) {
  const auto found = keys_.find(name);
  if (found != keys_.end()) return found->second;
  const bool plain = options_.prefix.empty() || is_count(name);
  const std::string full = plain ? std::string(name) : options_.prefix + "-" + std::string(name);
  return keys_.emplace(name, ", " + json_text(Json(full)) + ": ").first->second;
}

// Nothing is on disk before the first line: a resumed run may still say what to go on from.
void JsonlLogger::begin_line(int64_t step) {
  if (!file_.is_open()) {
    make_folder(folder_);
    file_.create(path());
  }
  line_ = "{\"step\": ";
  append_integer(line_, step);
}

void JsonlLogger::end_line() {
  line_ += "}\n";
  file_.append(line_);
  if (++unflushed_ >= options_.flush_logs_every_n_steps) save();
}

void JsonlLogger::log_metrics(std::span<const Metric> metrics, int64_t step) {
  begin_line(step);
  for (const auto& metric : metrics) {
    line_ += key(metric.name);
    if (std::isnan(metric.value))
      line_ += "\"NaN\"";
    else if (std::isinf(metric.value))
      line_ += metric.value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    else
      append_metric(line_, metric.name, metric.value);
  }
  end_line();
}

void JsonlLogger::log_hyperparams(const Json& hyperparams) {
  make_folder(folder_);
  replace_file(folder_ + "/hparams.yaml", to_yaml(hyperparams));
}

void JsonlLogger::log_text(std::string_view name, std::string_view text, int64_t step) {
  begin_line(step);
  line_ += key(name) + json_text(Json(std::string(text)));
  end_line();
}

void JsonlLogger::save() {
  unflushed_ = 0;
  if (file_.is_open()) file_.flush();
}

void JsonlLogger::finalize(std::string_view) { save(); }

// Comes after save(), as of any logger.
Json JsonlLogger::save_state() const { return {{"bytes", file_.is_open() ? file_.size() : 0}}; }

void JsonlLogger::load_state(const Json& state) {
  const auto bytes = state.at("bytes").get<int64_t>();
  if (bytes == 0) return;
  if (!file_size(path())) {
    log(LogLevel::kInfo, "jsonl", path() + ": starts here; the earlier run's lines are not in this folder");
    return;
  }
  file_.reopen(path(), continued_at(path(), bytes, "jsonl"));
}

}  // namespace fathom::loggers
