#include "core/training/logger_group.h"

#include <algorithm>
#include <map>

#include "core/base/log.h"

namespace fathom::training {

void LoggerGroup::add(LoggerHandle logger) { members_.push_back({std::move(logger), false, nullptr}); }

size_t LoggerGroup::size() const {
  return static_cast<size_t>(std::count_if(members_.begin(), members_.end(), [](const auto& m) { return !m.failed; }));
}

void LoggerGroup::each(const char* what, const std::function<void(Member&)>& call) {
  for (Member& member : members_) {
    if (member.failed) continue;
    try {
      call(member);
    } catch (const std::exception& error) {  // fathom::Error is one
      member.failed = true;
      log_warning("loggers", "{} failed to {}, and the run goes on without it: {}", member.logger.name(), what,
                  error.what());
    }
  }
}

std::vector<std::string> LoggerGroup::names() const {
  std::vector<std::string> names;
  for (const Member& member : members_) names.push_back(member.logger.name());
  return names;
}

void LoggerGroup::log_metrics(std::span<const fathom_metric_value> metrics, int64_t step) {
  each("log metrics", [&](Member& m) { m.logger.log_metrics(metrics, step); });
}
void LoggerGroup::log_hyperparams(const Json& hyperparams) {
  each("log hyperparameters", [&](Member& m) { m.logger.log_hyperparams(hyperparams); });
}
void LoggerGroup::log_text(std::string_view name, std::string_view text, int64_t step) {
  each("log a text", [&](Member& m) { m.logger.log_text(name, text, step); });
}
void LoggerGroup::log_histogram(std::string_view name, const fathom_float_array& values, int64_t step) {
  each("log a histogram", [&](Member& m) { m.logger.log_histogram(name, values, step); });
}
void LoggerGroup::log_audio(std::string_view name, const fathom_float_array& samples, int64_t sample_rate,
                            int64_t step) {
  each("log audio", [&](Member& m) { m.logger.log_audio(name, samples, sample_rate, step); });
}
void LoggerGroup::log_image(std::string_view name, const fathom_float_array& pixels, int64_t step) {
  each("log an image", [&](Member& m) { m.logger.log_image(name, pixels, step); });
}
void LoggerGroup::save() {
  each("save", [](Member& m) { m.logger.save(); });
}
void LoggerGroup::finalize(std::string_view status) {
  each("end", [&](Member& m) { m.logger.finalize(status); });
}

Json LoggerGroup::save_state() {
  each("save its state", [](Member& m) { m.state = m.logger.save_state(); });
  Json out = Json::array();
  for (const Member& member : members_) out.push_back({{"name", member.logger.name()}, {"state", member.state}});
  return out;
}

void LoggerGroup::load_state(const Json& saved) {
  std::map<std::string, std::vector<const Json*>> states;
  for (const Json& one : saved) states[one.at("name").get<std::string>()].push_back(&one.at("state"));
  std::map<std::string, size_t> taken;
  each("go on from its state", [&](Member& m) {
    const std::string name = m.logger.name();
    const auto& own = states[name];
    const size_t index = taken[name]++;
    const Json state = index < own.size() ? *own[index] : Json(nullptr);
    if (!state.is_null()) {
      m.state = state;
      m.logger.load_state(state);
    } else if (m.logger.is_stateful()) {
      log_warning("restore", "the checkpoint has no state of logger {}; it starts afresh", name);
    }
  });
}

}  // namespace fathom::training
