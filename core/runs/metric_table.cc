#include "core/runs/metric_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <memory>

#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom::runs {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Takes the cells of a file one after another; quotes as in RFC 4180.
class CellReader {
 public:
  CellReader(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  // The cells of the next complete row, false at the end. They are valid until the next call.
  bool next_row(std::vector<std::string_view>& cells) {
    cells.clear();
    unquoted_.clear();
    ++line_;
    for (size_t at = 0;;) {
      const size_t end = cell_end(at);
      if (end == std::string_view::npos) return false;
      std::string_view cell = text_.substr(at, end - at);
      if (text_[end] == '\n' && cell.ends_with('\r')) cell.remove_suffix(1);
      cells.push_back(cell.starts_with('"') ? unquoted(cell) : cell);
      at = end + 1;
      if (text_[end] != '\n') continue;
      text_.remove_prefix(at);
      return true;
    }
  }
  Error error(std::string what) const { return Error(Code::kBadData, std::move(what)).at(path_, line_); }

 private:
  size_t cell_end(size_t at) const {
    if (at >= text_.size() || text_[at] != '"') return text_.find_first_of(",\n", at);
    for (++at;; at += 2) {  // past the quote; then past a doubled one
      at = text_.find('"', at);
      if (at == std::string_view::npos) return at;
      if (at + 1 >= text_.size() || text_[at + 1] != '"') return text_.find_first_of(",\n", at + 1);
    }
  }
  std::string_view unquoted(std::string_view cell) {
    std::string plain;
    for (size_t i = 1; i + 1 < cell.size(); ++i) {
      plain += cell[i];
      if (cell[i] == '"') ++i;
    }
    unquoted_.push_back(std::make_unique<std::string>(std::move(plain)));
    return *unquoted_.back();
  }

  std::string_view text_;
  const std::string& path_;
  int64_t line_ = 0;
  std::vector<std::unique_ptr<std::string>> unquoted_;  // what cells with quotes point into
};

double number(std::string_view cell, const std::string& column, const CellReader& reader) {
  double value = 0;
  const char* end = cell.data() + cell.size();
  const auto [stop, problem] = std::from_chars(cell.data(), end, value);
  if (problem == std::errc() && stop == end) return value;
  throw reader.error("is no number").seen(column + " = " + std::string(cell.substr(0, 60)));
}

std::optional<int64_t> highest(const std::vector<double>& values) {
  std::optional<int64_t> out;
  for (const double value : values) {
    if (value >= 0 && value < 9e15) out = std::max(out.value_or(0), static_cast<int64_t>(value));
  }
  return out;
}

}  // namespace

std::optional<MetricColumn::Extremes> MetricColumn::extremes() const {
  std::optional<Extremes> out;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    if (!out) out = Extremes{values[i], values[i], rows[i], rows[i]};
    if (values[i] < out->least) out->least = values[i], out->least_row = rows[i];
    if (values[i] > out->greatest) out->greatest = values[i], out->greatest_row = rows[i];
  }
  return out;
}

const MetricColumn* MetricTable::find(const std::string& name) const {
  const auto found = std::find_if(metrics.begin(), metrics.end(), [&](const auto& m) { return m.name == name; });
  return found == metrics.end() ? nullptr : &*found;
}

std::vector<std::string> MetricTable::names() const {
  std::vector<std::string> out;
  for (const auto& metric : metrics) {
    if (!metric.rows.empty()) out.push_back(metric.name);
  }
  return out;
}

std::optional<int64_t> MetricTable::last_epoch() const { return highest(epoch); }
std::optional<int64_t> MetricTable::last_step() const { return highest(step); }

MetricTable read_metrics(const std::string& path) {
  const std::string text = read_file(path);
  CellReader reader(text, path);
  MetricTable table;
  table.path = path;
  std::vector<std::string_view> cells;
  if (!reader.next_row(cells)) return table;  // the header was being written
  const std::vector<std::string> header(cells.begin(), cells.end());
  if (std::find(header.begin(), header.end(), "step") == header.end() &&
      std::find(header.begin(), header.end(), "epoch") == header.end()) {
    throw reader.error("is no file of metrics: its first line names neither the column step nor epoch")
        .seen(text.substr(0, std::min<size_t>(60, text.find('\n'))));
  }
  std::vector<MetricColumn> columns(header.size());
  for (size_t c = 0; c < header.size(); ++c) columns[c].name = header[c];
  for (uint32_t row = 0; reader.next_row(cells); ++row) {
    if (cells.size() != header.size()) {
      throw reader.error("has another number of cells than the first line")
          .seen(std::to_string(cells.size()))
          .expected(std::to_string(header.size()));
    }
    table.epoch.push_back(kNone);
    table.step.push_back(kNone);
    for (size_t c = 0; c < cells.size(); ++c) {
      if (cells[c].empty()) continue;
      const double value = number(cells[c], header[c], reader);
      if (header[c] == "epoch") {
        table.epoch.back() = value;
      } else if (header[c] == "step") {
        table.step.back() = value;
      } else {
        columns[c].rows.push_back(row);
        columns[c].values.push_back(value);
      }
    }
  }
  for (auto& column : columns) {
    if (column.name != "epoch" && column.name != "step") table.metrics.push_back(std::move(column));
  }
  return table;
}

}  // namespace fathom::runs
