#include "plugins/tts/commands/prepare.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "fathom/log_level.h"
#include "plugins/lib/audio/python_json.h"
#include "plugins/tts/commands/preparation.h"
#include "plugins/tts/data/tts_dataset.h"

namespace fathom::tts {
namespace {

namespace fs = std::filesystem;

// Names as NeMo's speaker ids. Those that are numbers stay.
std::map<std::string, std::string> numbers_of(const audio::Manifest& clips) {
  std::map<std::string, std::string> out;
  for (int64_t i = 0; i < clips.size(); ++i) {
    const audio::ManifestEntry entry = clips.entry(i);
    if (entry.speaker.empty()) {
      throw Error(Code::kBadData, "the line names no speaker")
          .at(entry.where())
          .expected("the key speaker, as numbered_manifest is asked for");
    }
    out[entry.speaker];
  }
  const bool numbered = std::all_of(out.begin(), out.end(), [](const auto& one) {
    return one.first.find_first_not_of("0123456789") == std::string::npos;
  });
  int64_t next = 0;
  for (auto& [name, number] : out) number = numbered ? name : std::to_string(next++);
  return out;
}

std::string numbered_lines(const std::vector<std::string>& manifests,
                           const std::map<std::string, std::string>& numbers) {
  std::string out;
  for (const std::string& manifest : manifests) {
    std::ifstream in(manifest, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      Json entry = parse_text(audio::strict_json(line));
      for (auto& [key, value] : entry.items()) {
        if (!value.is_string()) continue;
        if (key.ends_with("_filepath") || key == "audio_filename") {
          value = fs::absolute(audio::resolve_manifest_path(value.get<std::string>(), manifest))
                      .lexically_normal()
                      .string();
        }
      }
      const Json& speaker = entry.at("speaker");
      const std::string name = speaker.is_string() ? speaker.get<std::string>() : json_text(speaker);
      entry["speaker"] = std::stoll(numbers.at(name));
      out += json_text(entry) + "\n";
    }
  }
  return out;
}

Json statistics(const std::map<std::string, Moments>& speakers) {
  Json out = Json::object();
  for (const auto& [name, one] : speakers) {
    if (one.count < 2) {
      log(LogLevel::kWarning, "tts", "no statistics of " + name + ": too few voiced frames");
      continue;
    }
    out[name] = {
        {"pitch_mean", one.mean}, {"pitch_std", one.deviation()}, {"pitch_min", one.min}, {"pitch_max", one.max}};
  }
  return out;
}

}  // namespace

void Prepare::Options::describe(OptionSet<Options>& o) {
  o.required("manifests", &Options::manifests, "manifests of the set, training and validation together");
  o("sup_data_path", &Options::sup_data_path, "folder of the computed files, as the config's sup_data_path");
  o("types", &Options::types, "what to compute: pitch, log_mel, energy, voiced_mask, p_voiced");
  o("pitch_stats_path", &Options::pitch_stats_path, "file for the pitch's mean and deviation, of all and by speaker");
  o("numbered_manifest", &Options::numbered_manifest, "file for the manifest with speakers' names as numbers");
  o.include<SpeechFeatureOptions>();
}

void Prepare::run(const CommandIo& io) {
  if (options_.sup_data_path.empty() && options_.pitch_stats_path.empty() && options_.numbered_manifest.empty()) {
    throw Error(Code::kUsage, "nothing is asked for")
        .expected("--sup-data-path, --pitch-stats-path or --numbered-manifest");
  }
  for (const std::string& type : options_.types) {
    if (type != "pitch" && type != "log_mel" && type != "energy" && type != "voiced_mask" && type != "p_voiced") {
      throw Error(Code::kUsage, "is not computed of recordings")
          .at("--types")
          .seen(type)
          .expected("pitch, log_mel, energy, voiced_mask or p_voiced");
    }
  }
  TtsOptions options;
  static_cast<SpeechFeatureOptions&>(options) = options_;
  options.manifest_filepath = options_.manifests;
  options.sup_data_types = options_.types;
  const bool has_pitch = std::find(options_.types.begin(), options_.types.end(), "pitch") != options_.types.end();
  if (!options_.pitch_stats_path.empty() && !has_pitch) options.sup_data_types->push_back("pitch");
  if (!options_.sup_data_path.empty()) options.sup_data_path = options_.sup_data_path;
  // What is computed does not hang on the texts.
  TextSide text;
  text.encode = [](std::string_view, uint64_t) { return std::vector<int64_t>{0}; };
  text.pad = 0;
  const TTSDataset dataset(options, std::move(text));

  std::map<std::string, std::string> numbers;
  if (!options_.numbered_manifest.empty()) {
    numbers = numbers_of(dataset.clips());
    write_file(options_.numbered_manifest, numbered_lines(options_.manifests, numbers));
    for (const auto& [name, number] : numbers) io.print_line(number + "\t" + name);
  }
  if (options_.sup_data_path.empty() && options_.pitch_stats_path.empty()) return;

  std::vector<Moments> clips(static_cast<size_t>(dataset.size()));
  for_all(io, "clips", dataset.size(), [&](int64_t index) {
    const TtsItem item = dataset.get(index, 0);
    if (item.pitch.defined()) clips[static_cast<size_t>(index)] = Moments::of(item.pitch, item.pitch.ne(0));
  });
  if (options_.pitch_stats_path.empty()) return;
  // In the manifest's order, so that the sums are the same on any number of threads.
  std::map<std::string, Moments> speakers;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const std::string speaker = dataset.clips().entry(i).speaker;
    const Moments& one = clips[static_cast<size_t>(i)];
    speakers["default"].add(one);
    if (!speaker.empty()) speakers[numbers.empty() ? speaker : numbers.at(speaker)].add(one);
  }
  const Json found = statistics(speakers);
  if (found.empty())
    throw Error(Code::kBadData, "no clip has voiced frames").at(options_.manifests.front()).next("are they speech?");
  write_file(options_.pitch_stats_path, found.dump(2) + "\n");
}

}  // namespace fathom::tts
