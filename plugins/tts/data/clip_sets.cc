#include "plugins/tts/data/clip_sets.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "fathom/log_level.h"
#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

namespace fs = std::filesystem;

struct ClipSetOptions {
  std::string manifest_path;
  std::optional<std::string> audio_dir, feature_dir;
  double sample_weight = 1;
  Json audio_tar_filepaths, tokenizer_names;
  static void describe(OptionSet<ClipSetOptions>& o) {
    using Options = ClipSetOptions;
    o.required("manifest_path", &Options::manifest_path, "JSON lines with audio_filepath").example("train.json");
    o("audio_dir", &Options::audio_dir, "folder that audio_filepath starts from; null: the manifest's");
    o("feature_dir", &Options::feature_dir, "folder of the features; null: computed anew each time");
    o("sample_weight", &Options::sample_weight, "how often a clip is drawn, beside those of the other sets");
    o("audio_tar_filepaths", &Options::audio_tar_filepaths, "not available: audio in tar files");
    o("tokenizer_names", &Options::tokenizer_names, "not available: a choice among a model's tokenizers");
  }
};

ClipSet open_set(const std::string& name, const Json& section, const ClipSetsOptions& all) {
  const std::string path = "dataset_meta." + name;
  const auto options = parse_options<ClipSetOptions>(section, path);
  for (const auto& [key, value] : {std::pair{"audio_tar_filepaths", &options.audio_tar_filepaths},
                                   {"tokenizer_names", &options.tokenizer_names}}) {
    if (value->is_null()) continue;
    throw Error(Code::kUnavailable, std::string(key) + " is not read here")
        .at(path + "." + key)
        .seen(json_text(*value))
        .expected("null");
  }
  if (!(options.sample_weight > 0) || !std::isfinite(options.sample_weight)) {
    throw Error(Code::kFailed, "a weight must be positive")
        .at(path + ".sample_weight")
        .seen(std::to_string(options.sample_weight))
        .next("leave the set out rather than give it no weight");
  }
  ClipSet out;
  out.name = name;
  out.weight = options.sample_weight;
  out.audio_dir = options.audio_dir.value_or(fs::path(options.manifest_path).parent_path().string());
  out.feature_dir = options.feature_dir.value_or("");
  if (!fs::is_directory(out.audio_dir.empty() ? "." : out.audio_dir))
    throw Error(Code::kNoInput, "the folder of the audio is not there").at(path + ".audio_dir").seen(out.audio_dir);
  audio::ManifestFilter filter;
  filter.needs_duration = false;
  filter.min_duration = all.min_duration;
  filter.max_duration = all.max_duration;
  out.clips = audio::Manifest::open({options.manifest_path}, filter);
  const audio::Dropped& dropped = out.clips.dropped_by_duration();
  log(LogLevel::kInfo, "tts",
      name + ": " + std::to_string(out.clips.size()) + " clips, " + std::to_string(dropped.count) +
          " left out by their duration");
  return out;
}

}  // namespace

void ClipSetsOptions::describe(OptionSet<ClipSetsOptions>& o) {
  using Options = ClipSetsOptions;
  o.required("dataset_meta", &Options::dataset_meta,
             "the sets by name: {manifest_path, audio_dir, feature_dir, sample_weight}")
      .example({{"lj", {{"manifest_path", "train.json"}, {"audio_dir", "audio"}, {"feature_dir", "features"}}}});
  o("weighted_sampling_steps_per_epoch", &Options::weighted_sampling_steps_per_epoch,
    "so many batches an epoch, drawn with replacement by the sets' sample_weight; null: every clip once");
  o("min_duration", &Options::min_duration, "shorter clips are left out", "s");
  o("max_duration", &Options::max_duration, "longer clips are left out", "s");
}

ClipSets::ClipSets(const ClipSetsOptions& options) {
  if (!options.dataset_meta.is_object() || options.dataset_meta.empty()) {
    throw Error(Code::kFailed, "dataset_meta names no set")
        .at("dataset_meta")
        .seen(json_text(options.dataset_meta))
        .expected("{NAME: {manifest_path: …, audio_dir: …, feature_dir: …}}");
  }
  if (options.weighted_sampling_steps_per_epoch) {
    steps_ = *options.weighted_sampling_steps_per_epoch;
    check_range("weighted_sampling_steps_per_epoch", steps_, 1, int64_t{1} << 32);
  }
  starts_.push_back(0);
  for (const auto& [name, section] : options.dataset_meta.items()) {
    sets_.push_back(open_set(name, section, options));
    starts_.push_back(starts_.back() + sets_.back().clips.size());
  }
  if (size() == 0) {
    throw Error(Code::kBadData, "no clip is left of the sets")
        .at("dataset_meta")
        .next("look at min_duration and max_duration");
  }
}

size_t ClipSets::set_of(int64_t index) const {
  return static_cast<size_t>(std::upper_bound(starts_.begin(), starts_.end(), index) - starts_.begin()) - 1;
}

double ClipSets::duration(int64_t index) const {
  const size_t set = set_of(index);
  return sets_.at(set).clips.duration(index - starts_[set]);
}

ClipSets::Clip ClipSets::clip(int64_t index) const {
  const size_t number = set_of(index);
  Clip out;
  out.set = &sets_.at(number);
  out.set_number = number;
  out.entry = out.set->clips.entry(index - starts_[number]);
  const fs::path base = fs::path(out.set->audio_dir).lexically_normal();
  const fs::path named = fs::path(out.entry.named_as).lexically_normal();
  const fs::path relative =
      named.is_absolute() ? named.lexically_relative(fs::absolute(base).lexically_normal()) : named;
  if (relative.empty() || *relative.begin() == "..") {
    throw Error(Code::kBadData, "the audio lies outside of its set's audio_dir")
        .at(out.entry.where())
        .seen(out.entry.named_as)
        .expected("a path in " + out.set->audio_dir)
        .next("set dataset_meta." + out.set->name + ".audio_dir to a folder that holds all of its audio");
  }
  out.entry.audio_file = (base / relative).string();
  out.name = fs::path(relative).replace_extension().string();
  return out;
}

std::vector<std::vector<int64_t>> ClipSets::plan_batches(const BatchRequest& request) const {
  std::mt19937_64 random(request.seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(request.epoch) + 1);
  std::vector<double> shares;  // of all sets up to one
  for (const ClipSet& set : sets_)
    shares.push_back((shares.empty() ? 0 : shares.back()) + set.weight * static_cast<double>(set.clips.size()));
  const auto draw = [&] {
    const double at = static_cast<double>(random() >> 11) * 0x1p-53 * shares.back();
    const auto set = static_cast<size_t>(std::upper_bound(shares.begin(), shares.end() - 1, at) - shares.begin());
    const double before = set == 0 ? 0 : shares[set - 1];
    const auto item = static_cast<int64_t>((at - before) / sets_[set].weight);
    return starts_[set] + std::clamp<int64_t>(item, 0, sets_[set].clips.size() - 1);
  };
  std::vector<std::vector<int64_t>> batches(static_cast<size_t>(steps_));
  for (auto& batch : batches) {
    for (int64_t i = 0; i < request.batch_size; ++i) batch.push_back(draw());
  }
  return batches;
}

}  // namespace fathom::tts
