#include "plugins/asr/data/audio_to_text_dataset.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace fathom::asr {
namespace {

audio::AudioLoadOptions transcript_load_options(const AudioToTextDataset::Options& options) {
  audio::AudioLoadOptions load = load_options(options);
  load.normalize_db = options.normalize_db;
  return load;
}

}  // namespace

void AudioToTextDataset::Options::describe(OptionSet<Options>& o) {
  o.include<ClipOptions>();
  o("is_tarred", &Options::is_tarred, "the audio lies in tar files");
  o("tarred_audio_filepaths", &Options::tarred_audio_filepaths,
    "the tar files: a pattern (audio__OP_0..511_CL_.tar), or a list");
  o("tarred_shard_strategy", &Options::tarred_shard_strategy,
    "tar files of a process among several: scatter (its share of them) or replicate (all)");
  o("max_utts", &Options::max_utts, "keep the first so many clips; 0: all");
  o("min_tps", &Options::min_tps, "clips with fewer tokens a second are left out", "1/s");
  o("max_tps", &Options::max_tps, "clips with more tokens a second are left out: their texts are often wrong", "1/s");
  o("normalize_db", &Options::normalize_db, "scale every clip to this level", "dB");
  o("return_sample_id", &Options::return_sample_id, "batches carry the items' indices");
}

AudioToTextDataset::AudioToTextDataset(const Options& options, const Marks& marks)
    : options_(options), marks_(marks), loader_(transcript_load_options(options), options.augmentor) {}

void AudioToTextDataset::take_clips(audio::Manifest clips) {
  inference_ = true;
  if (options_.is_tarred) {
    throw Error(Code::kUnavailable, "audio is transcribed from files of its own, not from tar files")
        .at("is_tarred")
        .next("unpack the tar files, and leave is_tarred out");
  }
  clips_ = ClipList(std::move(clips));
}

bool AudioToTextDataset::is_too_slow_or_fast(const audio::ManifestLine& line) const {
  if ((!options_.min_tps && !options_.max_tps) || !(line.duration > 0)) return false;
  audio::ManifestEntry entry;
  entry.text = line.text;
  entry.manifest = line.file;
  entry.line = line.line;
  const double tps = static_cast<double>(entry.text.empty() ? 0 : text_ids(entry).size()) / line.duration;
  return (options_.min_tps && tps < *options_.min_tps) || (options_.max_tps && tps > *options_.max_tps);
}

// Counts what is left out; the texts themselves are not kept.
void AudioToTextDataset::open_manifests(const std::function<bool(const audio::ManifestLine& line)>& keep) {
  if (options_.is_tarred && options_.max_utts > 0) {
    throw Error(Code::kFailed, "max_utts does not go with tarred data")
        .at("max_utts")
        .seen(std::to_string(options_.max_utts))
        .next("name fewer tar files, or set limit_train_batches");
  }
  audio::Dropped unparseable, of_other_speed;
  std::string example;
  audio::ManifestFilter filter;
  filter.most = std::max<int64_t>(options_.max_utts, 0);
  std::vector<std::string> names, left_out;  // of tarred clips: what the tar files are looked through for
  const auto note = [&](std::vector<std::string>& in, const audio::ManifestLine& line) {
    if (options_.is_tarred) in.emplace_back(line.audio);
  };
  filter.dropped = [&](const audio::ManifestLine& line) { note(left_out, line); };
  filter.keep = [&](const audio::ManifestLine& line) {
    const bool parsed = keep(line), stays = parsed && !is_too_slow_or_fast(line);
    note(stays ? names : left_out, line);
    if (stays) return true;
    if (parsed) {
      ++of_other_speed.count;
      of_other_speed.seconds += std::max(line.duration, 0.0);
      return false;
    }
    ++unparseable.count;
    unparseable.seconds += std::max(line.duration, 0.0);
    if (example.empty()) example = line.where();
    return false;
  };
  audio::Manifest clips = open_clips(options_, std::move(filter));
  clips_ = options_.is_tarred ? ClipList::of_tars(std::move(clips), std::move(names), std::move(left_out), options_)
                              : ClipList(std::move(clips));
  if (unparseable.count > 0) {
    log(LogLevel::kWarning, "asr.data",
        std::to_string(unparseable.count) + " clips (" + in_hours(unparseable.seconds) +
            ") were left out: the parser cannot read their text (first: " + example + ")");
  }
  if (of_other_speed.count > 0) {
    log(LogLevel::kInfo, "asr.data",
        std::to_string(of_other_speed.count) + " clips (" + in_hours(of_other_speed.seconds) +
            ") were left out by min_tps and max_tps");
  }
  log(LogLevel::kInfo, "asr.data", "dataset with " + summary_of(clips_));
}

std::vector<int64_t> AudioToTextDataset::tokens_of(const audio::ManifestEntry& entry) const {
  std::vector<int64_t> tokens;
  if (marks_.bos) tokens.push_back(*marks_.bos);
  if (!entry.text.empty()) {
    const auto ids = text_ids(entry);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  }
  if (marks_.eos) tokens.push_back(*marks_.eos);
  return tokens;
}

std::vector<std::string> AudioToTextDataset::length_units() const {
  return inference_ ? std::vector<std::string>{"seconds"} : std::vector<std::string>{"seconds", "tokens"};
}

double AudioToTextDataset::length(int64_t index, std::string_view unit) const {
  return unit == "tokens" ? static_cast<double>(tokens_of(clips_.entry(index)).size()) : clips_.duration(index);
}

Ports AudioToTextDataset::outputs() const {
  Ports ports = {{"audio_signal", {"B T", AudioSignal{options_.sample_rate}}}, {"a_sig_length", {"B", LengthsType{}}}};
  if (inference_) {
    ports.push_back({"sample_id", {"B", LengthsType{}}});
    return ports;
  }
  ports.push_back({"transcripts", {"B T", LabelsType{}}});
  ports.push_back({"transcript_length", {"B", LengthsType{}}});
  if (options_.return_sample_id) ports.push_back({"sample_id", {"B", LengthsType{}}});
  return ports;
}

SpeechSample AudioToTextDataset::get(int64_t index, uint64_t seed) const {
  audio::ManifestEntry entry = clips_.entry(index);
  SpeechSample sample;
  sample.id = clips_.row(index);
  sample.audio = loader_.load(entry, seed);
  if (inference_)
    sample.entry = std::move(entry);
  else
    sample.tokens = tokens_of(entry);
  return sample;
}

Values AudioToTextDataset::collate(const std::vector<const SpeechSample*>& samples) const {
  const auto count = static_cast<int64_t>(samples.size());
  int64_t most_tokens = 0;
  std::vector<at::Tensor> clips;
  for (const auto* sample : samples) {
    clips.push_back(sample->audio);
    most_tokens = std::max(most_tokens, static_cast<int64_t>(sample->tokens.size()));
  }
  const auto [audio, lengths] = pad_clips(clips, ClipPadding::kZeros);
  at::Tensor tokens = at::full({count, most_tokens}, marks_.pad, at::kLong),
             token_lengths = at::empty({count}, at::kLong);
  at::Tensor ids = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i) {
    const SpeechSample& sample = *samples[i];
    std::copy(sample.tokens.begin(), sample.tokens.end(), tokens.data_ptr<int64_t>() + i * most_tokens);
    token_lengths.data_ptr<int64_t>()[i] = static_cast<int64_t>(sample.tokens.size());
    ids.data_ptr<int64_t>()[i] = sample.id;
  }
  Values batch{{"audio_signal", audio}, {"a_sig_length", lengths}};
  if (inference_) {
    std::vector<Value> entries;
    for (const auto* sample : samples) {
      const audio::ManifestEntry& entry = sample->entry;
      Json line = {{"audio_filepath", entry.named_as}};
      if (entry.has_text) line["text"] = entry.text;
      line["duration"] = static_cast<double>(sample->audio.size(0)) / static_cast<double>(options_.sample_rate);
      if (entry.offset > 0) line["offset"] = entry.offset;
      entries.emplace_back(json_text(line));
    }
    batch.add("sample_id", ids).add("entries", std::move(entries));
    return batch;
  }
  batch.add("transcripts", tokens).add("transcript_length", token_lengths);
  if (options_.return_sample_id) batch.add("sample_id", ids);
  return batch;
}

}  // namespace fathom::asr
