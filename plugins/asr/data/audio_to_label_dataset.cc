#include "plugins/asr/data/audio_to_label_dataset.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "fathom/nearest_names.h"

namespace fathom::asr {
namespace {

constexpr const char* kLogName = "asr.data";

std::string in_hours(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f hours", seconds / 3600);
  return text;
}

audio::AudioLoadOptions label_load_options(const AudioLabelDataset::Options& o) {
  audio::AudioLoadOptions load;
  load.target_sr = o.sample_rate;
  load.trim = o.trim_silence;
  load.channel_selector = audio::parse_channel_selector(o.channel_selector, "channel_selector");
  return load;
}

}  // namespace

void AudioLabelDataset::Options::describe(OptionSet<Options>& o) {
  o.required("manifest_filepath", &Options::manifest_filepath,
             "manifest: JSON lines; several: a list, or separated by commas");
  o("labels", &Options::labels, "the classes, in the order of their numbers; null: the manifest's, sorted");
  o("sample_rate", &Options::sample_rate, "audio is resampled to this rate", "Hz");
  o("int_values", &Options::int_values, "read samples as integers; they are scaled to [-1, 1) either way");
  o("augmentor", &Options::augmentor, "perturbations of the audio: {type: {prob, options}}");
  o("max_duration", &Options::max_duration, "longer clips are left out", "s");
  o("min_duration", &Options::min_duration, "shorter clips are left out", "s");
  o("trim_silence", &Options::trim_silence, "cut silence (60 dB below the loudest frame) at both ends");
  o("channel_selector", &Options::channel_selector, "channel to take: a number, or 'average'");
  o("cal_labels_occurrence", &Options::cal_labels_occurrence, "accepted; the clips of each label are always counted");
  o("label_key", &Options::label_key, "where a line's label stands: null: command, target or label; or text");
}

AudioLabelDataset::AudioLabelDataset(const Options& options, ClipPadding padding)
    : options_(options), padding_(padding), loader_(label_load_options(options), options.augmentor) {
  if (options_.label_key && *options_.label_key != "text") {
    throw Error(Code::kFailed, "labels cannot be read from that key")
        .at("label_key")
        .seen(*options_.label_key)
        .expected("text, or null: command, target or label");
  }
  open_manifests();
}

AudioLabelDataset::AudioLabelDataset(const Options& options, audio::Manifest clips)
    : options_(options),
      padding_(ClipPadding::kZeros),
      loader_(label_load_options(options), nullptr),
      clips_(std::move(clips)),
      inference_(true) {}

std::shared_ptr<AudioLabelDataset> AudioLabelDataset::for_inference(const Options& options, audio::Manifest clips) {
  return std::shared_ptr<AudioLabelDataset>(new AudioLabelDataset(options, std::move(clips)));
}

std::string_view AudioLabelDataset::label_of(const audio::ManifestLine& line) const {
  if (options_.label_key && !line.text.empty()) return line.text;
  if (!options_.label_key && line.label) return *line.label;
  throw Error(Code::kBadData, "manifest line has no label")
      .at(line.where())
      .expected(options_.label_key ? "a text at the key text" : "a text at the key command, target or label")
      .next(line.text.empty() ? "" : "is it the text? Then set label_key: text");
}

// Keeps the number of each clip's label; the lines themselves are read again when they are needed.
void AudioLabelDataset::open_manifests() {
  const bool given = options_.labels && !options_.labels->empty();
  std::map<std::string, int64_t, std::less<>> numbers;  // of the labels, as they come up or as they are given
  if (given) {
    for (const std::string& label : *options_.labels) {
      if (!numbers.emplace(label, static_cast<int64_t>(numbers.size())).second)
        throw Error(Code::kFailed, "a label stands twice in the list").at("labels").seen(label);
    }
  }
  audio::ManifestFilter filter;
  filter.min_duration = options_.min_duration;
  filter.max_duration = options_.max_duration;
  filter.keep = [&](const audio::ManifestLine& line) {
    const std::string_view label = label_of(line);
    auto found = numbers.find(label);
    if (found == numbers.end()) {
      if (given) {
        throw Error(Code::kBadData, "a label is none of the model's")
            .at(line.where())
            .seen(std::string(label))
            .candidates(nearest_names(std::string(label), *options_.labels))
            .next("train with it, or leave the line out");
      }
      found = numbers.emplace(std::string(label), static_cast<int64_t>(numbers.size())).first;
    }
    label_ids_.push_back(found->second);
    return true;
  };
  clips_ = audio::Manifest::open(audio::manifest_paths(options_.manifest_filepath, "manifest_filepath"), filter);

  if (given) {
    labels_ = *options_.labels;
  } else {  // from the order of their first lines to the sorted one
    std::vector<int64_t> sorted(numbers.size());
    for (const auto& [label, number] : numbers) {
      sorted[static_cast<size_t>(number)] = static_cast<int64_t>(labels_.size());
      labels_.push_back(label);
    }
    for (int64_t& id : label_ids_) id = sorted[static_cast<size_t>(id)];
  }
  occurrences_.assign(labels_.size(), 0);
  for (const int64_t id : label_ids_) ++occurrences_[static_cast<size_t>(id)];

  if (const audio::Dropped& dropped = clips_.dropped_by_duration(); dropped.count > 0) {
    fathom::log(LogLevel::kInfo, kLogName,
                std::to_string(dropped.count) + " clips (" + in_hours(dropped.seconds) +
                    ") were left out by min_duration and max_duration");
  }
  double seconds = 0;
  for (int64_t i = 0; i < size(); ++i) seconds += std::max(length_hint(i), 0.0);
  fathom::log(LogLevel::kInfo, kLogName,
              "dataset with " + std::to_string(size()) + " clips, " + in_hours(seconds) + ", " +
                  std::to_string(labels_.size()) + " labels");
}

Ports AudioLabelDataset::outputs() const {
  Ports ports = {{"audio_signal", {"B T", AudioSignal{options_.sample_rate}}}, {"a_sig_length", {"B", LengthsType{}}}};
  if (inference_) {
    ports.push_back({"sample_id", {"B", LengthsType{}}});
    return ports;
  }
  ports.push_back({"label", {"B", LabelsType{}}});
  ports.push_back({"label_length", {"B", LengthsType{}}});
  return ports;
}

LabelledClip AudioLabelDataset::get(int64_t index, uint64_t seed) const {
  LabelledClip clip;
  clip.id = index;
  audio::ManifestEntry entry = clips_.entry(index);
  clip.audio = loader_.load(entry, seed);
  if (inference_)
    clip.entry = std::move(entry);
  else
    clip.label = label_ids_.at(static_cast<size_t>(index));
  return clip;
}

Values AudioLabelDataset::collate(const std::vector<const LabelledClip*>& samples) const {
  std::vector<at::Tensor> clips;
  std::vector<int64_t> labels, ids;
  for (const LabelledClip* sample : samples) {
    clips.push_back(sample->audio);
    labels.push_back(sample->label);
    ids.push_back(sample->id);
  }
  const PaddedClips padded = pad_clips(clips, padding_);
  Values batch{{"audio_signal", padded.audio}, {"a_sig_length", padded.lengths}};
  if (!inference_) {
    batch.add("label", at::tensor(labels, at::kLong)).add("label_length", at::ones_like(padded.lengths));
    return batch;
  }
  std::vector<Value> entries;
  for (const LabelledClip* sample : samples) {
    const audio::ManifestEntry& entry = sample->entry;
    Json line = {{"audio_filepath", entry.named_as}};
    if (entry.label)
      line["text"] = *entry.label;
    else if (entry.has_text)
      line["text"] = entry.text;
    line["duration"] = static_cast<double>(sample->audio.size(0)) / static_cast<double>(options_.sample_rate);
    if (entry.offset > 0) line["offset"] = entry.offset;
    entries.emplace_back(json_text(line));
  }
  batch.add("sample_id", at::tensor(ids, at::kLong)).add("entries", std::move(entries));
  return batch;
}

}  // namespace fathom::asr
