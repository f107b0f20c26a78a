#include "plugins/callbacks/model_summary.h"

#include <algorithm>

namespace fathom::callbacks {
namespace {

// 1234567 -> "1.2 M", 999999 -> "999 K": as Lightning cuts.
std::string readable(int64_t count) {
  constexpr const char* kUnits[] = {"", "K", "M", "B", "T"};
  int64_t unit = 0, power = 1;
  while (unit < 4 && count / power >= 1000) {
    power *= 1000;
    ++unit;
  }
  if (unit == 0) return std::to_string(count);
  char text[40];
  if (count / power >= 100)
    std::snprintf(text, sizeof text, "%lld %s", static_cast<long long>(count / power), kUnits[unit]);
  else
    std::snprintf(text, sizeof text, "%.1f %s", static_cast<double>(count) / static_cast<double>(power), kUnits[unit]);
  return text;
}

// Parameters of the model itself, in none of the modules that are its direct children.
int64_t params_of_itself(const Json& summary) {
  int64_t rest = summary.at("total").get<int64_t>();
  for (const auto& module : summary.at("modules")) {
    if (module.at("name").get<std::string>().find('.') == std::string::npos) rest -= module.at("params").get<int64_t>();
  }
  return rest;  // below 0 where children share some
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
  if (const int64_t rest = params_of_itself(summary); rest > 0)
    rows.push_back({" ", "other params", "n/a", readable(rest), "n/a"});
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
  const int64_t bytes =
      summary.contains("bytes") ? summary["bytes"].get<int64_t>() : summary.at("total").get<int64_t>() * 4;
  char size[40];
  std::snprintf(size, sizeof size, "%.3f", static_cast<double>(bytes) / 1e6);
  add(size, "Total estimated model params size (MB)");
  for (const auto& [key, what] : {std::pair{"modules_in_train_mode", "Modules in train mode"},
                                  {"modules_in_eval_mode", "Modules in eval mode"}}) {
    if (summary.contains(key)) add(std::to_string(summary[key].get<int64_t>()), what);
  }
  if (summary.contains("wiring")) out += "\n" + summary.at("wiring").get<std::string>();
  out.pop_back();
  return out;
}

void ModelSummary::show(Trainer& trainer) {
  const int64_t depth = options_.max_depth < 0 ? 1000 : options_.max_depth;
  log(LogLevel::kInfo, "model", "\n" + table(trainer.model_summary(static_cast<int>(depth))));
}

}  // namespace fathom::callbacks
