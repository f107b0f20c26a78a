// The recordings of several sets together, as NeMo's `dataset_meta` names them:
//
//   dataset_meta:
//     lj:   {manifest_path: lj.json, audio_dir: lj, feature_dir: lj_features}
//     vctk: {manifest_path: vctk.json, audio_dir: vctk, feature_dir: vctk_features, sample_weight: 0.5}
//
// With steps they are drawn with replacement, each clip as often as its set's weight says. Uses no torch; thread-safe
// once made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fathom/batch_plan.h"
#include "fathom/options.h"
#include "plugins/lib/audio/manifest.h"

namespace fathom::tts {

struct ClipSetsOptions {
  Json dataset_meta;
  std::optional<int64_t> weighted_sampling_steps_per_epoch;
  std::optional<double> min_duration, max_duration;  // s
  static void describe(OptionSet<ClipSetsOptions>& o);
};

struct ClipSet {
  std::string name, audio_dir, feature_dir;  // feature_dir "": none
  double weight = 1;
  audio::Manifest clips;
};

class ClipSets : public BatchPlanner {
 public:
  struct Clip {
    const ClipSet* set = nullptr;
    size_t set_number = 0;       // of sets()
    audio::ManifestEntry entry;  // its audio_file is where the audio lies
    std::string name;            // audio_file from audio_dir on, without ending: what its features are called
  };
  ClipSets() = default;
  // Throws Error: kFailed naming the key of dataset_meta or option, and what Manifest::open says.
  explicit ClipSets(const ClipSetsOptions& options);

  int64_t size() const { return starts_.empty() ? 0 : starts_.back(); }
  const std::vector<ClipSet>& sets() const { return sets_; }
  double duration(int64_t index) const;  // s; negative: unknown
  // Throws kBadData where an absolute path does not lie in audio_dir, or a relative one leads out of it.
  Clip clip(int64_t index) const;

  bool draws() const { return steps_ > 0; }
  // weighted_sampling_steps_per_epoch batches, each full; by seed and epoch alone.
  std::vector<std::vector<int64_t>> plan_batches(const BatchRequest& request) const override;

 private:
  size_t set_of(int64_t index) const;
  std::vector<ClipSet> sets_;
  std::vector<int64_t> starts_;  // 0, and after each set the clips so far
  int64_t steps_ = 0;
};

}  // namespace fathom::tts
