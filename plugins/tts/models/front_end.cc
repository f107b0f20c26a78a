#include "plugins/tts/models/front_end.h"

#include <cmath>
#include <cstdio>

namespace fathom::tts {

bool has_old_front_end(const Json& config, bool restoring) {
  const Json version = config.value("nemo_version", Json(nullptr));
  int major = 0, minor = 0;
  return restoring && version.is_string() &&
         std::sscanf(version.get_ref<const std::string&>().c_str(), "%d.%d", &major, &minor) == 2 &&
         (major < 2 || (major == 2 && minor < 5));
}

ModuleHandle make_front_end(Json section, bool old, const std::string& config_path, const Json& changes) {
  for (const auto& [key, value] : changes.items()) section[key] = value;
  if (old && !section.contains("front_end")) section["front_end"] = "nemo1";
  return make_module(section, config_path);
}

Json front_end_info(const Json& section, const std::string& config_path) {
  const auto number = [&](const char* key) { return section.contains(key) && section[key].is_number(); };
  if (!number("sample_rate")) {
    throw Error(Code::kFailed, "the front-end does not say its sampling rate")
        .at(config_path + ".sample_rate")
        .expected("a number of Hz");
  }
  const double rate = section["sample_rate"].get<double>();
  Json info = {{"sample_rate", section["sample_rate"]}};
  for (const auto& [samples, seconds] :
       {std::pair{"n_window_size", "window_size"}, {"n_window_stride", "window_stride"}}) {
    if (number(samples))
      info[samples] = section[samples];
    else if (number(seconds))
      info[samples] = static_cast<int64_t>(std::trunc(section[seconds].get<double>() * rate));
  }
  info["features"] = number("nfilt") ? section["nfilt"] : number("features") ? section["features"] : Json(64);
  const Json defaults = {{"n_fft", nullptr},
                         {"window", "hann"},
                         {"lowfreq", 0},
                         {"highfreq", nullptr},
                         {"mel_norm", "slaney"},
                         {"mag_power", 2.0},
                         {"log", true},
                         {"log_zero_guard_type", "add"},
                         {"log_zero_guard_value", 5.9604644775390625e-08}};
  for (const auto& [key, otherwise] : defaults.items()) info[key] = section.contains(key) ? section[key] : otherwise;
  return info;
}

}  // namespace fathom::tts
