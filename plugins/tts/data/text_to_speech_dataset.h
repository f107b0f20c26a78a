// TextToSpeechDataset: recordings of several sets, what is said in them, and features that were computed before the
// training (`fathom tts features`), for acoustic models.
#pragma once

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/lib/audio/audio_segment.h"
#include "plugins/tts/data/feature_files.h"
#include "plugins/tts/data/feature_processors.h"
#include "plugins/tts/data/text_side.h"

namespace fathom::tts {

struct TextToSpeechOptions : ClipSetsOptions {
  int64_t sample_rate = 0;  // Hz
  Json text_tokenizer, text_normalizer, text_normalizer_call_kwargs, featurizers, feature_processors;
  std::optional<int64_t> text_tokenizer_pad_id, align_prior_hop_length;
  std::optional<std::string> speaker_path;
  bool volume_norm = true;
  static void describe(OptionSet<TextToSpeechOptions>& o);
};

struct TextToSpeechItem {
  at::Tensor audio, text;         // (S) float32, (N) int64
  at::Tensor align_prior_matrix;  // (T,N) float32, with align_prior_hop_length
  int64_t speaker_id = 0;
  std::vector<at::Tensor> features;  // (T) or (D,T), in the order of the set's feature_names()
  std::string dataset_name, audio_filepath;
};

// A batch: dataset_names and audio_filepaths, lists of texts; audio (B,S) float32, audio_len (B) int64 samples, text
// (B,N) int64, text_len (B) int64; with speaker_path speaker_id (B) int64; with align_prior_hop_length
// align_prior_matrix (B,T,N); then each feature by its name, (B,T) or (B,D,T). Padding is 0, of texts the tokenizer's
// pad. (NeMo calls the lengths audio_lens and text_lens, and has them and tokens in int32.)
//
// Differences to NeMo: a feature whose file is missing is computed, and kept where there is a feature_dir; a
// spectrogram of a line with an offset is cut along its frames, not its bands; a text without normalized_text goes
// through the model's text_normalizer, if it has one.
//
// Errors of items (kBadData, kNoInput) name the manifest's file and line: audio or features that are none or not of
// this clip, no tokens, fewer frames than tokens, a speaker that speaker_path does not know.
class TextToSpeechDataset final : public DatasetOf<TextToSpeechItem>, public HasLengths {
 public:
  using Options = TextToSpeechOptions;
  TextToSpeechDataset(const Options& options, const Json& context);
  TextToSpeechDataset(const Options& options, TextSide text);

  int64_t size() const override { return sets_.size(); }
  double length_hint(int64_t index) const override { return sets_.duration(index); }
  std::vector<std::string> length_units() const override { return {"seconds"}; }
  double length(int64_t index, std::string_view /*unit*/) const override { return sets_.duration(index); }
  Ports outputs() const override;
  TextToSpeechItem get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const TextToSpeechItem*>& items) const override;
  const void* query(std::string_view id) const;  // plans its batches with weighted_sampling_steps_per_epoch

  const std::vector<std::string>& feature_names() const { return names_; }

 private:
  at::Tensor tokens_of(const audio::ManifestEntry& entry, uint64_t seed) const;
  int64_t speaker_of(const audio::ManifestEntry& entry) const;

  Options options_;
  TextSide text_;
  audio::AudioLoadOptions load_;
  ClipSets sets_;
  FeatureFiles files_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<FeatureProcessor>> processors_;
  std::map<std::string, int64_t> speakers_;
  int64_t pad_ = 0;
};

// What speaker_path names: {"SPEAKER": index}. Throws Error (kNoInput, kBadData).
std::map<std::string, int64_t> read_speaker_map(const std::string& path);

}  // namespace fathom::tts
