#include "plugins/asr/data/prompted_audio_dataset.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "plugins/asr/data/model_tokenizer.h"
#include "plugins/asr/decoding/confidence.h"

namespace fathom::asr {
namespace {

constexpr size_t kAnswerEnd = 1;  // one token

struct PaddedTokens {
  at::Tensor tokens, lengths;  // (B,U), (B)
};
PaddedTokens pad_tokens(const std::vector<std::vector<int64_t>>& rows, int64_t pad) {
  const auto count = static_cast<int64_t>(rows.size());
  int64_t most = 0;
  for (const auto& row : rows) most = std::max(most, static_cast<int64_t>(row.size()));
  PaddedTokens out{at::full({count, most}, pad, at::kLong), at::empty({count}, at::kLong)};
  for (int64_t i = 0; i < count; ++i) {
    const auto& row = rows[static_cast<size_t>(i)];
    std::copy(row.begin(), row.end(), out.tokens.data_ptr<int64_t>() + i * most);
    out.lengths.data_ptr<int64_t>()[i] = static_cast<int64_t>(row.size());
  }
  return out;
}

// In samples.
int64_t shortest_of(const PromptedAudioDataset::Options& options) {
  const double seconds = options.pad_min_duration.value_or(0);
  constexpr double kMostSeconds = 3600;
  if (!(seconds >= 0 && seconds <= kMostSeconds)) {
    throw Error(Code::kFailed, "clips cannot be padded to that")
        .at("pad_min_duration")
        .seen(json_text(Json(seconds)))
        .expected("0 to 3600 seconds, or null");
  }
  expect_one_of(options.pad_direction, {"left", "right", "both"}, "pad_direction");
  return static_cast<int64_t>(seconds * static_cast<double>(options.sample_rate));
}

PromptFormat format_of(const PromptedAudioDataset::Options& options) {
  return {options.prompt_format.value_or(""), options.prompt_defaults,
          ModelTokenizer::read(options.tokenizer, "tokenizer").tokenizer(), ""};
}

}  // namespace

void PromptedAudioDataset::Options::describe(OptionSet<Options>& o) {
  o.include<ClipOptions>();
  o("tokenizer", &Options::tokenizer,
    "of prompts and answers: {dir, type} or {langs, type: agg}; a model gives its own");
  o("prompt_format", &Options::prompt_format, "canary or canary2; a model gives its own");
  o("prompt_defaults", &Options::prompt_defaults, "checked; a line of a manifest has its own slots");
  o("text_field", &Options::text_field, "the manifest's key of the answer");
  o("lang_field", &Options::lang_field,
    "the manifest's key of the answer's language; target_lang where a line has none");
  o("pad_min_duration", &Options::pad_min_duration, "shorter clips get silence; null: none do, in transcription 1",
    "s");
  o("pad_direction", &Options::pad_direction, "where: left, right or both; in transcription both, unless it is told");
  o("tags", &Options::tags, "slots of lines that have none of their own: {source_lang: en, …}");
}

PromptedAudioDataset::PromptedAudioDataset(const Options& options)
    : PromptedAudioDataset(options, format_of(options),
                           ModelTokenizer::read(options.tokenizer, "tokenizer").tokenizer()->special_ids().pad) {}

PromptedAudioDataset::PromptedAudioDataset(const Options& options, PromptFormat format, int64_t pad)
    : options_(options),
      format_(std::move(format)),
      pad_(std::max<int64_t>(pad, 0)),
      loader_(load_options(options), options.augmentor),
      shortest_(shortest_of(options)) {
  clips_ = open_clips(options_, {});
  check_lines();
  log(LogLevel::kInfo, "asr.data", "dataset with " + summary_of(clips_));
}

PromptedAudioDataset::PromptedAudioDataset(const Options& options, PromptFormat format, audio::Manifest clips)
    : options_(options),
      format_(std::move(format)),
      loader_(load_options(options), nullptr),
      clips_(std::move(clips)),
      inference_(true),
      shortest_(shortest_of(options)) {}

std::shared_ptr<PromptedAudioDataset> PromptedAudioDataset::for_inference(Options options, const PromptFormat& format,
                                                                          audio::Manifest clips) {
  return std::shared_ptr<PromptedAudioDataset>(new PromptedAudioDataset(std::move(options), format, std::move(clips)));
}

PromptedAudioDataset::Line PromptedAudioDataset::line_of(const audio::ManifestEntry& entry) const {
  Line line;
  const PromptSlots given(entry.extras.begin(), entry.extras.end());
  line.slots = format_.complete(given, options_.tags);
  std::string missing;
  for (const std::string& slot : format_.required()) {
    if (line.slots.count(slot) == 0) missing += (missing.empty() ? "" : ", ") + slot;
  }
  if (!missing.empty()) {
    throw Error(Code::kBadData, "a manifest line lacks what the prompt is made of")
        .at(entry.where())
        .seen("no " + missing)
        .expected("these keys, for the prompt format '" + format_.name() + "' (task may be called taskname)")
        .next("write them into the line, or give them for all lines: tags: {" + missing.substr(0, missing.find(',')) +
              ": …}");
  }
  const auto value_of = [&](const std::string& key) -> std::optional<std::string> {
    if (key == "text") return entry.has_text ? std::optional(entry.text) : std::nullopt;
    if (key == "lang") return entry.lang.empty() ? std::nullopt : std::optional(entry.lang);
    const auto found = given.find(key);
    return found == given.end() ? std::nullopt : std::optional(found->second);
  };
  line.language = value_of(options_.lang_field).value_or(line.slots.at("target_lang"));
  line.answer = value_of(options_.text_field);
  return line;
}

PromptFormat::Encoded PromptedAudioDataset::encoded(const Line& line, const audio::ManifestEntry& entry) const {
  try {
    return format_.prompt_and_answer(line.slots, line.answer.value_or(""), line.language);
  } catch (const Error& error) {
    throw Error(Code::kBadData, "a manifest line makes no prompt and answer: " + error.message())
        .at(entry.where() + (error.where().empty() ? "" : " (" + error.where() + ")"))
        .seen(error.seen())
        .expected(error.expected())
        .candidates(error.candidates());
  }
}

// Texts become tokens when an item is asked for; here only what lines say besides, each combination once.
void PromptedAudioDataset::check_lines() const {
  std::set<std::pair<PromptSlots, std::string>> known;
  int64_t silent = 0;
  for (int64_t i = 0; i < clips_.size(); ++i) {
    const audio::ManifestEntry entry = clips_.entry(i);
    Line line = line_of(entry);
    silent += line.answer ? 0 : 1;
    line.answer.reset();
    if (known.emplace(line.slots, line.language).second) encoded(line, entry);
  }
  if (silent == 0) return;
  log(LogLevel::kWarning, "asr.data",
      std::to_string(silent) + " of " + std::to_string(clips_.size()) + " lines have no '" + options_.text_field +
          "' (text_field): their answer is empty");
}

std::vector<std::string> PromptedAudioDataset::length_units() const {
  return inference_ ? std::vector<std::string>{"seconds"} : std::vector<std::string>{"seconds", "tokens"};
}

double PromptedAudioDataset::length(int64_t index, std::string_view unit) const {
  if (unit != "tokens") return clips_.duration(index);
  const audio::ManifestEntry entry = clips_.entry(index);
  const PromptFormat::Encoded tokens = encoded(line_of(entry), entry);
  return static_cast<double>(tokens.context.size() + tokens.answer.size());
}

Ports PromptedAudioDataset::outputs() const {
  Ports ports = {{"audio_signal", {"B T", AudioSignal{options_.sample_rate}}}, {"a_sig_length", {"B", LengthsType{}}}};
  if (inference_) {
    ports.push_back({"sample_id", {"B", LengthsType{}}});
    return ports;
  }
  for (const std::string name : {"prompted_transcript", "prompt", "transcripts"}) {
    ports.push_back({name, {"B T", LabelsType{}}});
    ports.push_back({name == "transcripts" ? "transcript_length" : name + "_length", {"B", LengthsType{}}});
  }
  return ports;
}

PromptedSample PromptedAudioDataset::get(int64_t index, uint64_t seed) const {
  audio::ManifestEntry entry = clips_.entry(index);
  PromptedSample sample;
  sample.id = index;
  sample.audio = loader_.load(entry, seed);
  if (!inference_) {
    PromptFormat::Encoded tokens = encoded(line_of(entry), entry);
    sample.prompt = std::move(tokens.context);
    sample.answer = std::move(tokens.answer);
    return sample;
  }
  sample.entry = std::move(entry);
  return sample;
}

void PromptedAudioDataset::add_entries(Values& batch, const std::vector<const PromptedSample*>& samples) const {
  std::vector<Value> entries;
  for (const auto* sample : samples) {
    const audio::ManifestEntry& entry = sample->entry;
    Json line = {{"audio_filepath", entry.named_as}};
    if (entry.has_text) line["text"] = entry.text;
    line["duration"] = static_cast<double>(sample->audio.size(0)) / static_cast<double>(options_.sample_rate);
    if (entry.offset > 0) line["offset"] = entry.offset;
    for (const auto& [key, value] : entry.extras) line[key] = value;
    entries.emplace_back(json_text(line));
  }
  batch.add("entries", std::move(entries));
}

at::Tensor PromptedAudioDataset::padded(const at::Tensor& clip) const {
  const int64_t lacking = shortest_ - clip.size(0);
  if (lacking <= 0) return clip;
  const int64_t left = options_.pad_direction == "both" ? lacking / 2 : options_.pad_direction == "left" ? lacking : 0;
  return at::constant_pad_nd(clip, {left, lacking - left});
}

Values PromptedAudioDataset::collate(const std::vector<const PromptedSample*>& samples) const {
  std::vector<at::Tensor> clips;
  for (const auto* sample : samples) clips.push_back(padded(sample->audio));
  const auto [audio, lengths] = pad_clips(clips, ClipPadding::kZeros);
  Values batch{{"audio_signal", audio}, {"a_sig_length", lengths}};
  if (inference_) {
    std::vector<int64_t> ids;
    for (const auto* sample : samples) ids.push_back(sample->id);
    batch.add("sample_id", at::tensor(ids, at::kLong));
    add_entries(batch, samples);
    return batch;
  }
  std::vector<std::vector<int64_t>> prompted, prompts, answers;
  for (const auto* sample : samples) {
    prompts.push_back(sample->prompt);
    answers.emplace_back(sample->answer.begin(), sample->answer.end() - kAnswerEnd);
    prompted.push_back(sample->prompt);
    prompted.back().insert(prompted.back().end(), sample->answer.begin(), sample->answer.end());
  }
  const auto add = [&](const char* name, const char* length, const std::vector<std::vector<int64_t>>& rows) {
    const PaddedTokens padded = pad_tokens(rows, pad_);
    batch.add(name, padded.tokens).add(length, padded.lengths);
  };
  add("prompted_transcript", "prompted_transcript_length", prompted);
  add("prompt", "prompt_length", prompts);
  add("transcripts", "transcript_length", answers);
  return batch;
}

}  // namespace fathom::asr
