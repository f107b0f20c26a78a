#include "plugins/callbacks/model_summary.h"

#include <algorithm>
#include <cmath>

namespace fathom::callbacks {
namespace {

// 1234567 -> "1.2 M", as Lightning rounds.
std::string readable(int64_t count) {
  constexpr const char* kUnits[] = {"", "K", "M", "B", "T"};
  auto value = static_cast<double>(count);
  size_t unit = 0;
  while (value >= 1000 && unit < 4) {
    value /= 1000;
    ++unit;
  }
  char text[40];
  std::snprintf(text, sizeof text, unit == 0 || value >= 100 ? "%.0f" : "%.1f", value);
  return unit == 0 ? text : std::string(text) + " " + kUnits[unit];
}

}  // namespace

ModelSummary::ModelSummary(const Options& options) : options_(options) {
  if (options_.max_depth < -1) {
    throw Error(Code::kFailed, "is no depth")
        .at("max_depth")
        .seen(std::to_string(options_.max_depth))
        .expected("-1 (all), 0 or more");
  }
  if (options_.max_depth != 0) on(Event::kFitStart, &ModelSummary::show);
}

std::string ModelSummary::table(const Json& summary) {
  std::vector<std::array<std::string, 5>> rows = {{"", "Name", "Type", "Params", "Mode"}};
  int64_t index = 0;
  for (const auto& module : summary.at("modules")) {
    rows.push_back({std::to_string(index++), module.at("name").get<std::string>(), module.at("type").get<std::string>(),
                    readable(module.at("params").get<int64_t>()), module.value("training", true) ? "train" : "eval"});
  }
  std::array<size_t, 5> widths{};
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  size_t total = 3 * (widths.size() - 1);
  for (const size_t width : widths) total += width;
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t c = 0; c < widths.size(); ++c)
      line += (c == 0 ? "" : " | ") + rows[r][c] + std::string(widths[c] - rows[r][c].size(), ' ');
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    if (r == 0) out += std::string(total, '-') + "\n";
  }
  out += std::string(total, '-') + "\n";
  const auto add = [&](const std::string& number, const char* what) {
    out += number + std::string(number.size() < 10 ? 10 - number.size() : 1, ' ') + what + "\n";
  };
  add(readable(summary.at("trainable").get<int64_t>()), "Trainable params");
  add(readable(summary.at("non_trainable").get<int64_t>()), "Non-trainable params");
  add(readable(summary.at("total").get<int64_t>()), "Total params");
  char size[40];
  std::snprintf(size, sizeof size, "%.3f", static_cast<double>(summary.at("total").get<int64_t>()) * 4 / 1e6);
  add(size, "Total estimated model params size (MB)");
  if (summary.contains("wiring")) out += "\n" + summary.at("wiring").get<std::string>();
  out.pop_back();
  return out;
}

void ModelSummary::show(Trainer& trainer) {
  const int64_t depth = options_.max_depth < 0 ? 1000 : options_.max_depth;
  log(LogLevel::kInfo, "model", "\n" + table(trainer.model_summary(static_cast<int>(depth))));
}

}  // namespace fathom::callbacks
