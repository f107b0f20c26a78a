#include "plugins/asr/data/audio_to_label_dataset.h"

#include <ATen/ATen.h>

#include <map>

#include "fathom/nearest_names.h"

namespace fathom::asr {
void AudioLabelDataset::Options::describe(OptionSet<Options>& o) {
  o.include<ClipOptions>();
  o("labels", &Options::labels, "the classes, in the order of their numbers; null: the manifest's, sorted");
  o("cal_labels_occurrence", &Options::cal_labels_occurrence, "accepted; the clips of each label are always counted");
  o("label_key", &Options::label_key, "where a line's label stands: null: command, target or label; or text");
}

AudioLabelDataset::AudioLabelDataset(const Options& options, ClipPadding padding)
    : options_(options), padding_(padding), loader_(load_options(options), options.augmentor) {
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
      loader_(load_options(options), nullptr),
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
  clips_ = open_clips(options_, std::move(filter));

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

  log(LogLevel::kInfo, "asr.data",
      "dataset with " + summary_of(clips_) + ", " + std::to_string(labels_.size()) + " labels");
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
