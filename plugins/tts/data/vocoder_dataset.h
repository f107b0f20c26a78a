// VocoderDataset: pieces of recordings, alone or with the spectrogram that another model made of them.
#pragma once

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/tts/data/audio_clip.h"

namespace fathom::tts {

struct VocoderItem {
  at::Tensor audio;  // (T) float32
  at::Tensor mel;    // (D, T') float32, where load_precomputed_mel asks for it
};

// A batch: audio (B,T) float32, audio_len (B) int64 samples; with load_precomputed_mel also audio_mel (B,D,T').
//
// Each time an item is asked for, n_segments samples of it from a place of the seed's choice; the whole where it is
// shorter, or without n_segments. With load_precomputed_mel the line's mel_filepath (.npy, .pt, .safetensors; never
// run) is read too, and both are cut at the same frame: audio at frame · hop_length. What is too short is padded with
// zeros then. Items outside [min_duration, max_duration], and those that ignore_file lists, are left out. Errors
// (kBadData, kNoInput) name the manifest's file and line: audio that cannot be read, a line without mel_filepath, a
// spectrogram that is none or whose length is not the audio's.
class VocoderDataset final : public DatasetOf<VocoderItem>, public HasLengths {
 public:
  struct Options {
    Json manifest_filepath;
    int64_t sample_rate = 0;  // Hz
    std::optional<int64_t> n_segments;
    std::optional<double> max_duration, min_duration;  // s
    std::optional<std::string> ignore_file;
    std::optional<bool> trim = false;
    bool load_precomputed_mel = false;
    std::optional<int64_t> hop_length;
    static void describe(OptionSet<Options>& o);
  };
  explicit VocoderDataset(const Options& options);

  int64_t size() const override { return clips_.size(); }
  double length_hint(int64_t index) const override { return clips_.duration(index); }
  std::vector<std::string> length_units() const override { return {"seconds"}; }
  double length(int64_t index, std::string_view /*unit*/) const override { return clips_.duration(index); }
  Ports outputs() const override;
  VocoderItem get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const VocoderItem*>& items) const override;

 private:
  VocoderItem with_mel(const audio::ManifestEntry& entry, uint64_t seed) const;

  Options options_;
  audio::AudioLoadOptions load_;
  audio::Manifest clips_;
};

// The clips of a data set's manifests within its durations and without those that ignore_file (a JSON list of audio
// paths; a pickle is refused) names; how many are left out goes to the log. Errors: those of Manifest::open.
audio::Manifest open_clips(const Json& manifest_filepath, const std::optional<double>& min_duration,
                           const std::optional<double>& max_duration, const std::optional<std::string>& ignore_file);

}  // namespace fathom::tts
