#include "core/plugins/access_state.h"

#include <map>
#include <mutex>

namespace fathom::plugins {
namespace {

struct State {
  std::mutex mutex;
  std::map<std::string, bool, std::less<>> enabled;
  std::map<std::string, Json, std::less<>> settings;
  State() { clear(); }
  void clear() {
    enabled.clear();
    settings = {{"", Json{{"detach", false}, {"convert_to_cpu", false}}}};
  }
};
State& state() {
  static auto* instance = new State();  // plugins may ask while the process ends
  return *instance;
}

int32_t is_enabled(fathom_str guid) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto found = s.enabled.find(to_view(guid));
  return found != s.enabled.end() && found->second ? 1 : 0;
}

void set_enabled(fathom_str guid, int32_t enabled) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.enabled[to_string(guid)] = enabled != 0;
}

fathom_status update_config(fathom_str guid, fathom_str json) {
  return guard([&] {
    const Json changes = parse_json(json, "the settings of accessible tensors");
    if (!changes.is_object()) {
      throw Error(Code::kFailed, "the settings of accessible tensors must be a map").seen(json_text(changes));
    }
    State& s = state();
    const std::lock_guard lock(s.mutex);
    Json& settings = s.settings.try_emplace(to_string(guid), Json::object()).first->second;
    for (const auto& [key, value] : changes.items()) settings[key] = value;
  });
}

fathom_status config(fathom_str guid, const fathom_text_sink* json) {
  return guard([&] {
    State& s = state();
    std::string text;
    {
      const std::lock_guard lock(s.mutex);
      const auto found = s.settings.find(to_view(guid));
      text = json_text((found != s.settings.end() ? found->second : s.settings.find("")->second));
    }
    write(json, text);
  });
}

}  // namespace

const fathom_access_v1* access_table() {
  static const fathom_access_v1 table = {sizeof(fathom_access_v1), &is_enabled, &set_enabled, &update_config, &config};
  return &table;
}

Json all_access_settings() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  Json out = Json::object();
  for (const auto& [guid, settings] : s.settings) out[guid.empty() ? "default" : guid] = settings;
  return out;
}

void reset_access_state() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.clear();
}

}  // namespace fathom::plugins
