#include "core/runs/run_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "core/runs/run_record.h"
#include "fathom/utf8.h"

namespace fathom::runs {
namespace {

namespace fs = std::filesystem;

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
