// TTSDataset: recordings and what is said in them, for acoustic models and end-to-end ones.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <map>
#include <memory>

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/tts/data/alignment_prior.h"
#include "plugins/tts/data/audio_clip.h"
#include "plugins/tts/data/pitch_statistics.h"
#include "plugins/tts/data/sup_files.h"
#include "plugins/tts/data/text_side.h"
#include "plugins/tts/data/tts_options.h"

namespace fathom::tts {

struct TtsItem {
  at::Tensor audio, text;            // (S) float32, (N) int64
  at::Tensor log_mel;                // (D,T) float32
  at::Tensor durations;              // (N) int64, frames
  at::Tensor align_prior_matrix;     // (T,N) float32
  at::Tensor pitch, energy;          // (T) float32
  at::Tensor voiced_mask, p_voiced;  // (T) float32
  at::Tensor reference_audio;        // (S') float32
  int64_t speaker_id = 0;
};

// A batch: audio (B,S) float32, audio_len (B) int64 samples, text (B,N) int64, text_len (B) int64, then what
// sup_data_types asks for, in its order: log_mel (B,D,T) with log_mel_len, durations as durs (B,N) int64,
// align_prior_matrix (B,T,N), pitch (B,T) with pitch_len, energy (B,T) with energy_len, speaker_id (B) int64,
// voiced_mask and p_voiced (B,T), reference_audio (B,S') with reference_audio_len. Padding is 0, of texts the
// tokenizer's pad, of log_mel the smallest normal float32 (sic, as in NeMo).
//
// log_mel, pitch, voiced_mask, p_voiced and energy are computed of the audio once and kept in sup_data_path, if there
// is one (sup_files.h); NeMo's files there are used as they are. Texts become tokens when the set is opened, but for
// tokenizers that leave something to chance. Clips are left out by duration and ignore_file as in VocoderDataset.
//
// Errors of items (kBadData, kNoInput) name the manifest's file and line: what ClipLoader says, no tokens, fewer frames
// than tokens, data in sup_data_path or durs_file that is missing, broken or not of this clip, a speaker that is no
// number or that the pitch statistics do not know.
class TTSDataset : public DatasetOf<TtsItem>, public HasLengths {
 public:
  using Options = TtsOptions;
  // With a tokenizer of its own, or that of the model that the context tells of.
  TTSDataset(const Options& options, const Json& context);
  TTSDataset(const Options& options, TextSide text);

  int64_t size() const override { return clips_.size(); }
  double length_hint(int64_t index) const override { return clips_.duration(index); }
  // "seconds", and "tokens" where they are not left to chance.
  std::vector<std::string> length_units() const override;
  double length(int64_t index, std::string_view unit) const override;
  Ports outputs() const override;
  TtsItem get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const TtsItem*>& items) const override;
  const void* query(std::string_view id) const;  // plans its batches where there is a batch_sampler

  const std::vector<SupData>& types() const { return types_; }
  const audio::Manifest& clips() const { return clips_; }
  const SpeechFeatures& features() const { return features_; }
  // What the item's files are called.
  const std::string& clip_name(int64_t index) const { return names_.at(static_cast<size_t>(index)); }

 private:
  bool has(SupData type) const;
  SupFolder folder_of(SupData type, const std::optional<std::string>& own) const;
  void open_folders();
  void read_batch_sampler();
  void read_texts();
  void read_durations();
  std::string text_of(const audio::ManifestEntry& entry) const;
  at::Tensor whole_audio(const audio::ManifestEntry& entry) const;
  at::Tensor load_audio(const audio::ManifestEntry& entry, uint64_t seed) const;
  at::Tensor tokens_of(int64_t index, const audio::ManifestEntry& entry, uint64_t seed) const;
  void add_log_mel(TtsItem& item, const audio::ManifestEntry& entry, const std::string& name) const;
  void add_durations(TtsItem& item, const audio::ManifestEntry& entry) const;
  void add_pitch(TtsItem& item, const audio::ManifestEntry& entry, const std::string& name) const;
  void add_energy(TtsItem& item, const audio::ManifestEntry& entry, const std::string& name) const;
  void add_reference(TtsItem& item, const audio::ManifestEntry& entry, uint64_t seed) const;
  int64_t speaker_of(const audio::ManifestEntry& entry) const;
  void warn_of_pitch(const at::Tensor& pitch, const at::Tensor& scaled, const std::string& where) const;

  Options options_;
  TextSide text_;
  SpeechFeatures features_;
  audio::AudioLoadOptions load_;
  std::vector<SupData> types_;
  audio::Manifest clips_;
  std::vector<std::string> names_;
  std::vector<std::vector<int32_t>> tokens_;  // of each clip; none where they are left to chance
  SupFolder log_mels_, pitches_, voiced_masks_, p_voiced_, energies_;
  std::map<std::string, at::Tensor> durations_;
  std::map<std::string, std::vector<int64_t>> by_speaker_;  // clips
  std::optional<LengthBuckets> buckets_;
  PitchScale scale_;
  PriorBank priors_;
  bool stretches_priors_ = false;
  int64_t pad_ = 0;
  mutable std::atomic<bool> said_unvoiced_ = false, said_foreign_ = false;
};

}  // namespace fathom::tts
