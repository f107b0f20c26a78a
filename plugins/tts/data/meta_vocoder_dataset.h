// NeMo's newer VocoderDataset (nemo.collections.tts.data.vocoder_dataset): recordings of several sets, for vocoders and
// codecs. The older one, of one manifest, is vocoder_dataset.h.
#pragma once

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/lib/audio/audio_segment.h"
#include "plugins/tts/data/clip_sets.h"
#include "plugins/tts/data/feature_processors.h"

namespace fathom::tts {

struct MetaVocoderOptions : ClipSetsOptions {
  int64_t sample_rate = 0;  // Hz
  std::optional<int64_t> resample_rate, n_samples;
  std::optional<double> trunc_duration;  // s
  Json feature_processors;
  bool volume_norm = false;
  static void describe(OptionSet<MetaVocoderOptions>& o);
};

struct MetaVocoderItem {
  at::Tensor audio;  // (S) float32
  std::string dataset_name, audio_filepath;
};

// A batch: dataset_names and audio_filepaths, lists of texts; audio (B,S) float32, audio_len (B) int64 samples, at
// resample_rate where that is given. With n_samples a piece of each clip from a place of the seed's choice, the whole
// where it is shorter; else the clip up to trunc_duration. Errors as TextToSpeechDataset's.
class MetaVocoderDataset final : public DatasetOf<MetaVocoderItem>, public HasLengths {
 public:
  using Options = MetaVocoderOptions;
  explicit MetaVocoderDataset(const Options& options);

  int64_t size() const override { return sets_.size(); }
  double length_hint(int64_t index) const override { return sets_.duration(index); }
  std::vector<std::string> length_units() const override { return {"seconds"}; }
  double length(int64_t index, std::string_view /*unit*/) const override { return sets_.duration(index); }
  Ports outputs() const override;
  MetaVocoderItem get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const MetaVocoderItem*>& items) const override;
  const void* query(std::string_view id) const;  // plans its batches with weighted_sampling_steps_per_epoch

 private:
  Options options_;
  audio::AudioLoadOptions load_;
  ClipSets sets_;
  std::vector<std::unique_ptr<FeatureProcessor>> processors_;
};

// (B,S) float32 at another rate, by bandlimited interpolation (Smith, "Digital audio resampling", 2002) with a Hann
// window of 6 zero crossings and a roll-off of 0.99, as torchaudio.functional.resample: ceil(S · to / from) samples.
at::Tensor sinc_resampled(const at::Tensor& audio, int64_t from, int64_t to);

}  // namespace fathom::tts
