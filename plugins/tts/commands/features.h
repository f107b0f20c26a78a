// `fathom tts features`: what NeMo's compute_features.py, compute_feature_stats.py and create_speaker_map.py do before
// a training on TextToSpeechDataset.
#pragma once

#include "fathom/command.h"

namespace fathom::tts {

// Fills feature_dir with features of the manifests' recordings, on all threads: {feature_dir}/pitch/{audio}.npy and so
// on, each recording once. Files that are there are kept, so that what was interrupted goes on. Then, as asked for:
//   stats_path        {"default": {pitch_mean, pitch_std, energy_mean, …}, "SPEAKER": …} over the frames of mask_field;
//                     the deviation is a sample's (n - 1)
//   speaker_map_path  {"SPEAKER": index}, in the order of the names
// The options are those of NeMo's feature_22050.yaml; `featurizers` takes such a file's section as JSON instead.
class Features final : public Command {
 public:
  struct Options {
    std::vector<std::string> manifests;
    std::string audio_dir, feature_dir, stats_path, speaker_map_path;
    std::vector<std::string> types = {"pitch", "energy"}, feature_names = {"pitch", "energy"};
    std::optional<std::string> mask_field = "voiced_mask";
    bool overwrite = false;
    Json featurizers;
    int64_t sample_rate = 22050, win_length = 1024, hop_length = 256, mel_dim = 80;
    double lowfreq = 0, pitch_fmin = 60, pitch_fmax = 640;
    std::optional<double> highfreq;
    bool volume_norm = true;
    std::string pitch_method = "pyin";
    static void describe(OptionSet<Options>& o);
  };
  static std::vector<std::string> positionals() { return {"manifests"}; }
  explicit Features(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override;

 private:
  Json featurizers() const;
  Options options_;
};

}  // namespace fathom::tts
