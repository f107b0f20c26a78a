#include "plugins/loggers/csv_logger.h"

#include <algorithm>

#include "plugins/loggers/hparams_yaml.h"
#include "plugins/loggers/number_text.h"

namespace fathom::loggers {
namespace {

using std::chrono::seconds;

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string out = "\"";
  for (const char c : field) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string row_text(const std::vector<std::string>& fields) {
  std::string out;
  for (size_t i = 0; i < fields.size(); ++i) out += (i == 0 ? "" : ",") + quoted(fields[i]);
  return out + "\n";
}

// Reads at most `limit` complete rows, header included; a last line without its end was being written when a run died.
std::vector<std::vector<std::string>> parse(const std::string& text, size_t limit) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string field;
  bool in_quotes = false, was_quoted = false;
  for (size_t i = 0; i < text.size() && rows.size() < limit; ++i) {
    const char c = text[i];
    if (in_quotes) {
      if (c != '"')
        field += c;
      else if (i + 1 < text.size() && text[i + 1] == '"')
        field += text[++i];
      else
        in_quotes = false;
    } else if (c == '"') {
      in_quotes = was_quoted = true;
    } else if (c == ',') {
      row.push_back(std::move(field));
      field.clear();
      was_quoted = false;
    } else if (c == '\n') {
      if (!was_quoted && field.ends_with('\r')) field.pop_back();
      row.push_back(std::move(field));
      field.clear();
      was_quoted = false;
      rows.push_back(std::move(row));
      row.clear();
    } else {
      field += c;
    }
  }
  return rows;
}

}  // namespace

void CsvLogger::Options::describe(OptionSet<Options>& o) {
  o.include<FolderOptions>();
  o("prefix", &Options::prefix, "put before every metric's name, joined with '-'");
  o("flush_logs_every_n_steps", &Options::flush_logs_every_n_steps,
    "rows that may wait in memory before they are written");
}

CsvLogger::CsvLogger(const Options& options, const Json& context)
    : options_(options), folder_(logger_folder(options, context)), file_(seconds(5)) {
  if (options_.flush_logs_every_n_steps < 1) {
    throw Error(Code::kFailed, "rows have to be written at some time")
        .at("flush_logs_every_n_steps")
        .seen(std::to_string(options_.flush_logs_every_n_steps))
        .expected("at least 1");
  }
  add_columns({"epoch", "step"});
}

void CsvLogger::add_columns(const std::vector<std::string>& names) {
  columns_.insert(columns_.end(), names.begin(), names.end());
  std::sort(columns_.begin(), columns_.end());
  columns_.erase(std::unique(columns_.begin(), columns_.end()), columns_.end());
  by_name_.clear();
  for (size_t i = 0; i < columns_.size(); ++i) by_name_.emplace(columns_[i], i);
}

// Nothing is on disk before the first row: a resumed run may still say what to go on from.
void CsvLogger::start() {
  make_folder(folder_);
  file_.create(path());
  file_.append(row_text(columns_));
}

// Keeps the first `rows` rows, under the columns known now.
void CsvLogger::rewrite(int64_t rows) {
  if (file_.is_open()) file_.close();
  const auto old = parse(read_whole_file(path()), static_cast<size_t>(rows) + 1);
  std::string text = row_text(columns_);
  if (!old.empty()) {
    std::vector<size_t> source;
    for (const auto& name : columns_) {
      source.push_back(static_cast<size_t>(std::find(old[0].begin(), old[0].end(), name) - old[0].begin()));
    }
    std::vector<std::string> fields(columns_.size());
    for (size_t i = 1; i < old.size(); ++i) {
      for (size_t c = 0; c < columns_.size(); ++c) fields[c] = source[c] < old[i].size() ? old[i][source[c]] : "";
      text += row_text(fields);
    }
  }
  replace_file(path(), text);
  file_.reopen(path(), static_cast<int64_t>(text.size()));
  rows_ = old.empty() ? 0 : static_cast<int64_t>(old.size()) - 1;
  if (rows_ != rows) {
    log(LogLevel::kWarning, "csv",
        path() + ": has " + std::to_string(rows_) + " rows, and " + std::to_string(rows) +
            " were written before; the others are lost");
  }
}

void CsvLogger::log_metrics(std::span<const Metric> metrics, int64_t step) {
  const auto column_of = [&](std::string_view name) {
    if (!options_.prefix.empty() && !is_count(name)) {
      joined_.assign(options_.prefix).append("-").append(name);
      name = joined_;
    }
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return found->second;
    missing_.emplace_back(name);
    return columns_.size();
  };
  for (int attempt = 0; attempt < 2; ++attempt) {
    row_.clear();
    missing_.clear();
    for (const auto& metric : metrics) row_.emplace_back(column_of(metric.name), metric.value);
    row_.emplace_back(by_name_.find("step")->second, static_cast<double>(step));
    if (missing_.empty()) break;
    add_columns(missing_);
    if (file_.is_open()) rewrite(rows_);
  }
  if (!file_.is_open()) start();

  cells_.assign(columns_.size(), nullptr);
  for (const auto& [column, value] : row_) cells_[column] = &value;
  line_.clear();
  for (size_t i = 0; i < cells_.size(); ++i) {
    if (i > 0) line_ += ',';
    if (cells_[i] != nullptr) append_metric(line_, columns_[i], *cells_[i]);
  }
  line_ += '\n';
  file_.append(line_);
  ++rows_;
  if (++unflushed_ >= options_.flush_logs_every_n_steps) save();
}

void CsvLogger::log_hyperparams(const Json& hyperparams) {
  make_folder(folder_);
  replace_file(folder_ + "/hparams.yaml", to_yaml(hyperparams));
}

void CsvLogger::save() {
  unflushed_ = 0;
  if (file_.is_open()) file_.flush();
}

void CsvLogger::finalize(std::string_view) { save(); }

// Comes after save(), as of any logger.
Json CsvLogger::save_state() const {
  return {{"rows", rows_}, {"columns", columns_}, {"bytes", file_.is_open() ? file_.size() : 0}};
}

void CsvLogger::load_state(const Json& state) {
  columns_.clear();
  add_columns(state.at("columns").get<std::vector<std::string>>());
  rows_ = state.at("rows").get<int64_t>();
  if (rows_ == 0) return;
  if (!file_size(path())) {
    log(LogLevel::kInfo, "csv", path() + ": starts here, with the columns that the run had before");
    rows_ = 0;
    return;
  }
  rewrite(rows_);
}

}  // namespace fathom::loggers
