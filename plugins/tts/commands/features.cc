#include "plugins/tts/commands/features.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <set>

#include "fathom/log_level.h"
#include "fathom/nearest_names.h"
#include "plugins/tts/commands/preparation.h"
#include "plugins/tts/data/feature_files.h"

namespace fathom::tts {
namespace {

using FeatureMoments = std::map<std::string, Moments>;  // by feature

// In the order of the names, as texts.
Json speaker_map(const ClipSets& sets) {
  std::set<std::string> names;
  for (int64_t i = 0; i < sets.size(); ++i) {
    const audio::ManifestEntry entry = sets.clip(i).entry;
    if (entry.speaker.empty()) {
      throw Error(Code::kBadData, "the line names no speaker")
          .at(entry.where())
          .expected("the key speaker, as speaker_map_path is asked for");
    }
    names.insert(entry.speaker);
  }
  Json out = Json::object();
  int64_t next = 0;
  for (const std::string& name : names) out[name] = next++;
  return out;
}

Json feature_statistics(const std::map<std::string, FeatureMoments>& speakers) {
  Json out = Json::object();
  for (const auto& [speaker, features] : speakers) {
    for (const auto& [name, moments] : features) {
      if (moments.count < 2) {
        log(LogLevel::kWarning, "tts", "no statistics of the " + name + " of " + speaker + ": too few frames");
        continue;
      }
      out[speaker][name + "_mean"] = moments.mean;
      out[speaker][name + "_std"] = moments.deviation();
    }
  }
  return out;
}

}  // namespace

void Features::Options::describe(OptionSet<Options>& o) {
  o.required("manifests", &Options::manifests, "manifests, JSON lines with audio_filepath, duration and speaker");
  o("audio_dir", &Options::audio_dir, "folder that audio_filepath starts from; empty: each manifest's");
  o("feature_dir", &Options::feature_dir, "folder for the features, as the config's feature_dir; empty: not kept");
  o("stats_path", &Options::stats_path, "file for mean and deviation of the features, of all and by speaker");
  o("speaker_map_path", &Options::speaker_map_path, "file for the speakers' numbers, as the config's speaker_path");
  o("types", &Options::types, "what to compute: pitch (with voiced_mask), energy, mel_spec");
  o("feature_names", &Options::feature_names, "what stats_path is about");
  o("mask_field", &Options::mask_field, "statistics of the frames where this mask is set; null: of all");
  o("overwrite", &Options::overwrite, "compute anew what is there");
  o("featurizers", &Options::featurizers, "section of NeMo's feature config, as JSON, in place of types and the below");
  o("sample_rate", &Options::sample_rate, "all audio is resampled to this rate", "Hz");
  o("win_length", &Options::win_length, "of a frame", "samples");
  o("hop_length", &Options::hop_length, "from frame to frame", "samples");
  o("mel_dim", &Options::mel_dim, "mel bands");
  o("lowfreq", &Options::lowfreq, "where the lowest band begins", "Hz");
  o("highfreq", &Options::highfreq, "where the highest ends; null: half the sample rate", "Hz");
  o("pitch_fmin", &Options::pitch_fmin, "lowest pitch that is looked for", "Hz");
  o("pitch_fmax", &Options::pitch_fmax, "highest pitch that is looked for", "Hz");
  o("volume_norm", &Options::volume_norm, "the loudest sample of a recording at 0.95");
  o("pitch_method", &Options::pitch_method, "pyin (as NeMo), or autocorrelation: faster and rougher");
}

Json Features::featurizers() const {
  const Options& o = options_;
  if (!o.featurizers.is_null()) return o.featurizers;
  const Json mel = {{"_target_", "MelSpectrogramFeaturizer"},
                    {"sample_rate", o.sample_rate},
                    {"win_length", o.win_length},
                    {"hop_length", o.hop_length},
                    {"mel_dim", o.mel_dim},
                    {"lowfreq", o.lowfreq},
                    {"highfreq", o.highfreq ? Json(*o.highfreq) : Json(nullptr)},
                    {"volume_norm", o.volume_norm}};
  const Json pitch = {{"_target_", "PitchFeaturizer"}, {"sample_rate", o.sample_rate},  {"win_length", o.win_length},
                      {"hop_length", o.hop_length},    {"pitch_fmin", o.pitch_fmin},    {"pitch_fmax", o.pitch_fmax},
                      {"volume_norm", o.volume_norm},  {"pitch_method", o.pitch_method}};
  const std::map<std::string, Json> known = {
      {"pitch", pitch}, {"energy", {{"_target_", "EnergyFeaturizer"}, {"spec_featurizer", mel}}}, {"mel_spec", mel}};
  Json out = Json::object();
  for (const std::string& type : o.types) {
    const auto found = known.find(type);
    if (found == known.end()) {
      throw Error(Code::kUsage, "there is no such feature")
          .at("--types")
          .seen(type)
          .expected("pitch, energy or mel_spec")
          .candidates(nearest_names(type, {"pitch", "energy", "mel_spec"}));
    }
    out[type] = found->second;
  }
  return out;
}

void Features::run(const CommandIo& io) {
  const bool keeps = !options_.feature_dir.empty(), counts = !options_.stats_path.empty();
  if (!keeps && !counts && options_.speaker_map_path.empty())
    throw Error(Code::kUsage, "nothing is asked for").expected("--feature-dir, --stats-path or --speaker-map-path");
  ClipSetsOptions clips;
  clips.dataset_meta = Json::object();
  for (const std::string& manifest : options_.manifests) {
    Json& set = clips.dataset_meta[manifest];
    set = {{"manifest_path", manifest}};
    if (!options_.audio_dir.empty()) set["audio_dir"] = options_.audio_dir;
    if (keeps) set["feature_dir"] = options_.feature_dir;
  }
  const ClipSets sets(clips);
  if (!options_.speaker_map_path.empty()) write_file(options_.speaker_map_path, speaker_map(sets).dump(4) + "\n");
  if (!keeps && !counts) return;

  const FeatureFiles files(featurizers(), "featurizers", sets);
  std::vector<std::string> names;
  for (const auto& feature : files.features()) names.push_back(feature.name);
  std::vector<std::string> asked = options_.feature_names;
  if (options_.mask_field && !options_.mask_field->empty()) asked.push_back(*options_.mask_field);
  for (const std::string& name : asked) {
    if (!counts || std::find(names.begin(), names.end(), name) != names.end()) continue;
    throw Error(Code::kUsage, "no statistics without the feature")
        .at("--feature-names, --mask-field")
        .seen(name)
        .candidates(nearest_names(name, names))
        .next("add it to --types, or leave it out of --feature-names");
  }
  if (keeps) {  // each recording once, however many lines are about it
    std::set<std::pair<std::string, std::string>> seen;
    std::vector<int64_t> first;
    for (int64_t i = 0; i < sets.size(); ++i) {
      const auto clip = sets.clip(i);
      if (seen.insert({clip.entry.audio_file, clip.name}).second) first.push_back(i);
    }
    for_all(io, "recordings", static_cast<int64_t>(first.size()),
            [&](int64_t i) { files.load(sets.clip(first[static_cast<size_t>(i)]), options_.overwrite); });
  }
  if (!counts) return;

  std::vector<FeatureMoments> found(static_cast<size_t>(sets.size()));
  for_all(io, "clips", sets.size(), [&](int64_t i) {
    std::map<std::string, at::Tensor> values;
    for (auto& feature : files.load(sets.clip(i))) values[feature.name] = feature.values;
    const at::Tensor mask = asked.size() > options_.feature_names.size() ? values.at(asked.back()) : at::Tensor();
    for (const std::string& name : options_.feature_names)
      found[static_cast<size_t>(i)][name] = Moments::of(values.at(name), mask);
  });
  // In the manifests' order, so that the sums are the same on any number of threads.
  std::map<std::string, FeatureMoments> speakers;
  for (int64_t i = 0; i < sets.size(); ++i) {
    const std::string speaker = sets.clip(i).entry.speaker;
    for (const auto& [name, moments] : found[static_cast<size_t>(i)]) {
      speakers["default"][name].add(moments);
      if (!speaker.empty()) speakers[speaker][name].add(moments);
    }
  }
  const Json stats = feature_statistics(speakers);
  if (stats.empty())
    throw Error(Code::kBadData, "no clip has voiced frames").at(options_.manifests.front()).next("are they speech?");
  write_file(options_.stats_path, stats.dump(4) + "\n");
}

}  // namespace fathom::tts
