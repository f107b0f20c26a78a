#include "plugins/asr/data/data_section.h"

#include <algorithm>
#include <array>

#include "fathom/error.h"
#include "fathom/nearest_names.h"
#include "plugins/lib/loader_keys.h"

namespace fathom::asr {
namespace {

// NeMo's ways of feeding data that are not here: accepted where they are switched off.
constexpr std::array kOffKeys = {"is_tarred",
                                 "tarred_audio_filepaths",
                                 "tarred_shard_strategy",
                                 "shard_strategy",  // as some of NeMo's configs call it
                                 "shuffle_n",
                                 "shard_manifests",
                                 "bucketing_strategy",
                                 "bucketing_batch_size",
                                 "bucketing_weights",
                                 "use_lhotse",
                                 "use_dali",
                                 "is_concat",
                                 "concat_sampling_technique",
                                 "concat_shuffle",
                                 "concat_sampling_temperature",
                                 "concat_sampling_scale",
                                 "concat_sampling_probabilities",
                                 "concat_sampling_seed",
                                 "use_start_end_token",
                                 "load_audio",
                                 "max_number",
                                 "vocab",
                                 "defer_setup",
                                 "vad_stream",
                                 "window_length_in_sec",
                                 "shift_length_in_sec",
                                 "normalize",  // in some of NeMo's configs; nothing there reads it
                                 "normalize_audio",
                                 "is_audio_pair",
                                 "is_regression_task"};

bool is_off(const std::string& key, const Json& value, const Json& section) {
  if (value.is_null() || value == Json(false)) return true;
  if (value.is_string() && (value == "" || value == "na" || value == "None")) return true;
  if (value.is_array() && value.empty()) return true;
  // Details of a switch that is itself off.
  const auto off = [&](const char* name) {
    return !section.contains(name) || section[name].is_null() || section[name] == Json(false);
  };
  if (key == "shuffle_n" || key.ends_with("shard_strategy") || key == "shard_manifests") return off("is_tarred");
  if (key.starts_with("bucketing_")) return off("is_tarred");
  if (key == "window_length_in_sec" || key == "shift_length_in_sec") return off("vad_stream");
  if (key.starts_with("concat_")) return off("is_concat");
  return key == "use_start_end_token" && value == Json(false);
}

[[noreturn]] void refuse_key(const std::string& key, const std::vector<std::string>& options,
                             const std::string& config_path) {
  std::vector<std::string> known = options;
  known.insert(known.end(), kLoaderKeys.begin(), kLoaderKeys.end());
  std::string names;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  throw Error(Code::kFailed, "unknown option '" + key + "'")
      .at(config_path + "." + key)
      .expected("one of: " + names)
      .candidates(nearest_names(key, known));
}

}  // namespace

Json dataset_keys(const Json& section, const std::vector<std::string>& options, const std::string& config_path) {
  Json own = Json::object();
  for (const auto& [key, value] : section.items()) {
    const auto is = [&](std::string_view name) { return key == name; };
    if (std::any_of(kLoaderKeys.begin(), kLoaderKeys.end(), is)) continue;
    if (std::find(options.begin(), options.end(), key) != options.end()) {
      own[key] = value;
      continue;
    }
    if (std::any_of(kOffKeys.begin(), kOffKeys.end(), is)) {
      if (is_off(key, value, section)) continue;
      throw Error(Code::kUnavailable, "this way of feeding data is not available: " + key)
          .at(config_path + "." + key)
          .seen(json_text(value))
          .next("use a plain manifest: manifest_filepath");
    }
    refuse_key(key, options, config_path);
  }
  return own;
}

audio::Manifest predict_clips(const Json& section, const std::string& config_path) {
  if (section.contains("paths")) {
    const Json& paths = section["paths"];
    if (!paths.is_array()) {
      throw Error(Code::kFailed, "paths must be a list of audio files")
          .at(config_path + ".paths")
          .seen(json_text(paths));
    }
    std::vector<audio::ManifestEntry> entries;
    for (const auto& path : paths) {
      if (!path.is_string())
        throw Error(Code::kFailed, "a path must be a text").at(config_path + ".paths").seen(json_text(path));
      audio::ManifestEntry entry;
      entry.audio_file = entry.named_as = path.get<std::string>();
      entries.push_back(std::move(entry));
    }
    return audio::Manifest(std::move(entries));
  }
  if (section.contains("manifest_filepath") && !section["manifest_filepath"].is_null()) {
    const std::string path = config_path + ".manifest_filepath";
    audio::ManifestFilter all;
    all.needs_duration = false;
    return audio::Manifest::open(audio::manifest_paths(section["manifest_filepath"], path), all);
  }
  throw Error(Code::kFailed, "there is nothing to transcribe").at(config_path).expected("paths or manifest_filepath");
}

}  // namespace fathom::asr
