// AudioToCharDataset: clips of a manifest and their transcripts as character ids.
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/lib/audio/audio_segment.h"
#include "plugins/lib/audio/manifest.h"
#include "plugins/lib/audio/perturb.h"
#include "plugins/lib/text/char_parser.h"

namespace fathom::asr {

struct SpeechSample {
  at::Tensor audio;             // (T) float32
  std::vector<int64_t> tokens;  // character ids
  int64_t id = 0;               // index in the dataset
  audio::ManifestEntry entry;   // in inference only
};

// A batch: audio_signal (B,T) float32 padded with 0, a_sig_length (B) int64 samples, transcripts (B,U) int64 padded
// with pad_id, transcript_length (B) int64 and, with return_sample_id, sample_id (B) int64.
//
// Items outside [min_duration, max_duration] and items whose text cannot be parsed are left out when the manifest is
// opened, and counted in the log; characters outside the labels are dropped and counted. Text becomes ids when an item
// is asked for: what stays in memory is the manifest's index. Audio that cannot be read is an error naming the
// manifest's file and line.
class AudioToCharDataset final : public DatasetOf<SpeechSample>, public HasLengths {
 public:
  struct Options {
    Json manifest_filepath;
    std::vector<std::string> labels;
    int64_t sample_rate = 16000;
    bool int_values = false;
    Json augmentor;
    std::optional<double> max_duration, min_duration;
    int64_t max_utts = 0;
    int64_t blank_index = -1, unk_index = -1;
    bool normalize_transcripts = false;
    bool trim_silence = false;
    std::optional<double> normalize_db;
    std::optional<std::string> parser = "en";
    std::optional<int64_t> bos_id, eos_id;
    int64_t pad_id = 0;
    bool return_sample_id = false;
    Json channel_selector;
    static void describe(OptionSet<Options>& o);
  };

  explicit AudioToCharDataset(const Options& options);

  // For inference: every clip in order, no filters, texts only carried along. Batches have audio_signal, a_sig_length,
  // sample_id and `entries`, a list of JSON objects {audio_filepath, text?, duration, offset?}.
  static std::shared_ptr<AudioToCharDataset> for_inference(Options options, audio::Manifest clips);

  int64_t size() const override { return clips_.size(); }
  double length_hint(int64_t index) const override { return clips_.duration(index); }
  // "seconds", and "tokens" of the transcript, for which the item's line is read.
  std::vector<std::string> length_units() const override;
  double length(int64_t index, std::string_view unit) const override;
  Ports outputs() const override;
  SpeechSample get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const SpeechSample*>& samples) const override;

 private:
  AudioToCharDataset(const Options& options, audio::Manifest clips);
  void open_manifests();
  std::vector<int64_t> tokens_of(const audio::ManifestEntry& entry) const;

  Options options_;
  audio::AudioLoadOptions load_;
  audio::AudioAugmentor augmentor_;
  audio::Manifest clips_;
  std::optional<text::CharParser> parser_;  // none in inference
};

}  // namespace fathom::asr
