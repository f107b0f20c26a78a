// What AudioToCharDataset and AudioToBPEDataset share: clips of a manifest with transcripts as token ids.
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/asr/data/clip_list.h"
#include "plugins/asr/data/clip_loader.h"
#include "plugins/asr/data/clip_options.h"

namespace fathom::asr {

struct SpeechSample {
  at::Tensor audio;             // (T) float32
  std::vector<int64_t> tokens;  // of the transcript
  int64_t id = 0;               // index in the dataset
  audio::ManifestEntry entry;   // in inference only
};

// A batch: audio_signal (B,T) float32 padded with 0, a_sig_length (B) int64 samples, transcripts (B,U) int64 padded
// with the id for that, transcript_length (B) int64 and, with return_sample_id, sample_id (B) int64.
//
// Items outside [min_duration, max_duration] or [min_tps, max_tps] and items whose text cannot be parsed are left out
// when the manifest is opened, and counted in the log. Text becomes ids when an item is asked for: what stays in memory
// is the manifest's index. Audio that cannot be read is an error naming the manifest's file and line. With is_tarred
// the audio lies in tar files, whose order is that of the items (clip_list.h); sample_id is then the row among the
// manifest's.
//
// In inference (take_clips) every clip is there in order, unfiltered, and texts are only carried along. Batches have
// audio_signal, a_sig_length, sample_id and `entries`, a list of JSON objects {audio_filepath, text?, duration,
// offset?}.
class AudioToTextDataset : public DatasetOf<SpeechSample>, public HasLengths {
 public:
  struct Options : ClipOptions, TarOptions {
    int64_t max_utts = 0;
    std::optional<double> min_tps, max_tps;  // tokens per second
    std::optional<double> normalize_db;
    bool return_sample_id = false;
    static void describe(OptionSet<Options>& o);
  };

  const ClipList& clips() const { return clips_; }
  int64_t size() const override { return clips_.size(); }
  double length_hint(int64_t index) const override { return clips_.duration(index); }
  // "seconds", and but for inference "tokens" of the transcript, for which the item's line is read.
  std::vector<std::string> length_units() const override;
  double length(int64_t index, std::string_view unit) const override;
  Ports outputs() const override;
  SpeechSample get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const SpeechSample*>& samples) const override;

 protected:
  // What is put around each transcript, and what fills shorter ones of a batch.
  struct Marks {
    std::optional<int64_t> bos, eos;
    int64_t pad = 0;
  };
  AudioToTextDataset(const Options& options, const Marks& marks);
  // One of these once, in the constructor of the derived class or after it. `keep` says of each line's text whether its
  // item stays; it is asked for those that the durations leave in.
  void open_manifests(const std::function<bool(const audio::ManifestLine& line)>& keep);
  void take_clips(audio::Manifest clips);

  // Ids of a text that is not empty.
  virtual std::vector<int64_t> text_ids(const audio::ManifestEntry& entry) const = 0;

 private:
  std::vector<int64_t> tokens_of(const audio::ManifestEntry& entry) const;
  bool is_too_slow_or_fast(const audio::ManifestLine& line) const;

  Options options_;
  Marks marks_;
  ClipLoader loader_;
  ClipList clips_;
  bool inference_ = false;
};

}  // namespace fathom::asr
