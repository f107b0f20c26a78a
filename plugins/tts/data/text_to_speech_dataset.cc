#include "plugins/tts/data/text_to_speech_dataset.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <fstream>

#include "fathom/nearest_names.h"
#include "plugins/lib/option_range.h"
#include "plugins/tts/data/alignment_prior.h"
#include "plugins/tts/data/audio_clip.h"

namespace fathom::tts {
namespace {

// Tensors of any number of dimensions with zeros behind each.
at::Tensor stacked(const std::vector<at::Tensor>& parts, int64_t fill = 0) {
  std::vector<int64_t> sizes = parts[0].sizes().vec();
  for (const at::Tensor& part : parts) {
    if (part.dim() != static_cast<int64_t>(sizes.size()))
      throw Error(Code::kBadData, "features of one batch have different numbers of dimensions");
    for (size_t d = 0; d < sizes.size(); ++d) sizes[d] = std::max(sizes[d], part.size(static_cast<int64_t>(d)));
  }
  sizes.insert(sizes.begin(), static_cast<int64_t>(parts.size()));
  at::Tensor out = at::full(sizes, fill, parts[0].options());
  for (size_t i = 0; i < parts.size(); ++i) {
    at::Tensor place = out[static_cast<int64_t>(i)];
    for (int64_t d = 0; d < parts[i].dim(); ++d) place = place.narrow(d, 0, parts[i].size(d));
    place.copy_(parts[i]);
  }
  return out;
}

}  // namespace

std::map<std::string, int64_t> read_speaker_map(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    throw Error(Code::kNoInput, "the map of speakers cannot be read")
        .at("speaker_path")
        .seen(path)
        .next("`fathom tts features MANIFEST --speaker-map-path FILE` writes one");
  }
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const Json all = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  std::map<std::string, int64_t> out;
  bool good = all.is_object() && !all.empty();
  if (good) {
    for (const auto& [name, index] : all.items()) {
      good = good && index.is_number_integer() && index.get<int64_t>() >= 0;
      if (good) out[name] = index.get<int64_t>();
    }
  }
  if (good) return out;
  throw Error(Code::kBadData, "no map of speakers")
      .at(path)
      .seen(text.substr(0, 40))
      .expected("{\"SPEAKER\": 0, …}")
      .next("`fathom tts features MANIFEST --speaker-map-path FILE` writes one");
}

void TextToSpeechOptions::describe(OptionSet<TextToSpeechOptions>& o) {
  using Options = TextToSpeechOptions;
  o.include<ClipSetsOptions>();
  o.required("sample_rate", &Options::sample_rate, "all audio is resampled to this rate", "Hz").example(22050);
  o("text_tokenizer", &Options::text_tokenizer, "section of a tokenizer; null: the model's");
  o("text_normalizer", &Options::text_normalizer,
    "section of what makes words of the figures in texts without normalized_text; null: the model's, if any");
  o("text_normalizer_call_kwargs", &Options::text_normalizer_call_kwargs, "with text_normalizer, as models take it");
  o("text_tokenizer_pad_id", &Options::text_tokenizer_pad_id,
    "token behind shorter texts, for tokenizers that do not tell theirs");
  o("speaker_path", &Options::speaker_path, "JSON file {SPEAKER: index}; null: batches say no speaker");
  o("featurizers", &Options::featurizers,
    "sections of PitchFeaturizer, EnergyFeaturizer, MelSpectrogramFeaturizer: what batches hold besides");
  o("feature_processors", &Options::feature_processors,
    "sections of MeanVarianceNormalization, MeanVarianceSpeakerNormalization, LogCompression, FeatureScaler");
  o("align_prior_hop_length", &Options::align_prior_hop_length,
    "hop of the frames that align_prior_matrix is made for; null: none", "samples");
  o("volume_norm", &Options::volume_norm, "the loudest sample at 0.95");
}

TextToSpeechDataset::TextToSpeechDataset(const Options& options, const Json& context)
    : TextToSpeechDataset(
          options, text_side_of({options.text_tokenizer, options.text_normalizer, options.text_normalizer_call_kwargs},
                                context)) {}

TextToSpeechDataset::TextToSpeechDataset(const Options& options, TextSide text)
    : options_(options), text_(std::move(text)), load_(clip_options(options.sample_rate, {})) {
  const std::optional<int64_t> pad = text_.pad ? text_.pad : options_.text_tokenizer_pad_id;
  if (!pad) {
    throw Error(Code::kFailed, "the tokenizer does not say which token stands behind shorter texts")
        .at("text_tokenizer_pad_id")
        .seen("null")
        .expected("a token's number");
  }
  pad_ = *pad;
  if (options_.align_prior_hop_length)
    check_range("align_prior_hop_length", *options_.align_prior_hop_length, 1, 1 << 20);
  sets_ = ClipSets(options_);
  files_ = FeatureFiles(options_.featurizers, "featurizers", sets_);
  for (const auto& feature : files_.features()) names_.push_back(feature.name);
  processors_ = make_feature_processors(options_.feature_processors, "feature_processors");
  if (options_.speaker_path) speakers_ = read_speaker_map(*options_.speaker_path);
}

const void* TextToSpeechDataset::query(std::string_view id) const {
  struct Get {
    static const ClipSets& get(void* self) {
      return static_cast<const TextToSpeechDataset&>(Dataset::Storage::get(self)).sets_;
    }
  };
  return sets_.draws() && id == Capability<BatchPlanner>::id ? Capability<BatchPlanner>::table<Get>() : nullptr;
}

Ports TextToSpeechDataset::outputs() const {
  const NeuralType count{"B", LengthsType{}};
  Ports ports = {{"audio", {"B T", AudioSignal{options_.sample_rate}}},
                 {"audio_len", count},
                 {"text", {"B T", TokenIndex{}}},
                 {"text_len", count}};
  if (options_.speaker_path) ports.push_back({"speaker_id", {"B", Index{}}});
  if (options_.align_prior_hop_length) ports.push_back({"align_prior_matrix", {"B T T", ProbsType{}}});
  return ports;
}

at::Tensor TextToSpeechDataset::tokens_of(const audio::ManifestEntry& entry, uint64_t seed) const {
  const std::string text = entry.normalized_text        ? *entry.normalized_text
                           : text_.normalize != nullptr ? text_.normalize(entry.text)
                                                        : entry.text;
  const std::vector<int64_t> ids = text_.encode(text, seed);
  if (ids.empty()) {
    throw Error(Code::kBadData, "the text has no tokens: nothing of it is in the tokenizer's vocabulary")
        .at(entry.where())
        .seen(text.empty() ? "an empty text" : "'" + text.substr(0, 80) + "'");
  }
  return at::tensor(ids, at::kLong);
}

int64_t TextToSpeechDataset::speaker_of(const audio::ManifestEntry& entry) const {
  const auto found = speakers_.find(entry.speaker);
  if (found != speakers_.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, index] : speakers_) known.push_back(name);
  throw Error(Code::kBadData, "the map of speakers knows no such one")
      .at(entry.where())
      .seen(entry.speaker.empty() ? "a line without a speaker" : entry.speaker)
      .candidates(nearest_names(entry.speaker, known))
      .next("is it the map of this set? " + *options_.speaker_path);
}

TextToSpeechItem TextToSpeechDataset::get(int64_t index, uint64_t seed) const {
  const ClipSets::Clip clip = sets_.clip(index);
  TextToSpeechItem item;
  item.dataset_name = clip.set->name;
  item.audio_filepath = clip.entry.named_as;
  item.audio = load_part(clip.entry, load_);
  if (options_.volume_norm) item.audio = normalized_volume(item.audio);
  item.text = tokens_of(clip.entry, seed);
  if (options_.speaker_path) item.speaker_id = speaker_of(clip.entry);
  if (options_.align_prior_hop_length) {
    const int64_t frames = 1 + item.audio.size(0) / *options_.align_prior_hop_length, tokens = item.text.size(0);
    if (frames < tokens) {
      throw Error(Code::kBadData, "the audio has fewer frames than the text has tokens")
          .at(clip.entry.where())
          .seen(std::to_string(frames) + " frames, " + std::to_string(tokens) + " tokens")
          .expected("at least one frame a token")
          .next("is it the text of this clip? Leave the line out, or set a smaller hop length");
    }
    item.align_prior_matrix = beta_binomial_prior(tokens, frames);
  }
  Fields fields;
  fields.speaker = clip.entry.speaker;
  fields.dataset_name = clip.set->name;
  fields.where = clip.entry.where();
  fields.values["audio"] = item.audio;
  for (const auto& feature : files_.load(clip)) fields.values[feature.name] = feature.values;
  for (const auto& processor : processors_) processor->process(fields);
  item.audio = fields.values["audio"];
  for (const std::string& name : names_) item.features.push_back(fields.values[name]);
  return item;
}

Values TextToSpeechDataset::collate(const std::vector<const TextToSpeechItem*>& items) const {
  std::vector<at::Tensor> audio, text, priors;
  std::vector<int64_t> samples, tokens, speakers;
  Value::List sets, paths;
  for (const TextToSpeechItem* item : items) {
    sets.emplace_back(item->dataset_name);
    paths.emplace_back(item->audio_filepath);
    audio.push_back(item->audio);
    samples.push_back(item->audio.size(0));
    text.push_back(item->text);
    tokens.push_back(item->text.size(0));
    speakers.push_back(item->speaker_id);
    if (item->align_prior_matrix.defined()) priors.push_back(item->align_prior_matrix);
  }
  Values batch{{"audio", stacked(audio)},
               {"audio_len", at::tensor(samples, at::kLong)},
               {"text", stacked(text, pad_)},
               {"text_len", at::tensor(tokens, at::kLong)}};
  if (options_.speaker_path) batch.add("speaker_id", at::tensor(speakers, at::kLong));
  if (!priors.empty()) batch.add("align_prior_matrix", stacked(priors));
  for (size_t k = 0; k < names_.size(); ++k) {
    std::vector<at::Tensor> parts;
    for (const TextToSpeechItem* item : items) parts.push_back(item->features[k]);
    batch.add(names_[k], stacked(parts));
  }
  return batch.add("dataset_names", std::move(sets)).add("audio_filepaths", std::move(paths));
}

}  // namespace fathom::tts
