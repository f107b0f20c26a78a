// Clips of a manifest as tensors of samples: loaded, resampled, trimmed, perturbed.
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/support.h"
#include "plugins/lib/audio/audio_segment.h"
#include "plugins/lib/audio/manifest.h"
#include "plugins/lib/audio/perturb.h"

namespace fathom::asr {

// Thread-safe after construction.
class ClipLoader {
 public:
  // `load.target_sr` must be positive. `augmentor`: a config's section {type: {prob, options}}, or null.
  ClipLoader(const audio::AudioLoadOptions& load, const Json& augmentor);

  // (T) float32; perturbed by `seed` where there is an augmentor. Errors (kNoInput, kBadData) name the manifest's file
  // and line: what load_audio says, several channels of which none was chosen, nothing left by trimming.
  at::Tensor load(const audio::ManifestEntry& entry, uint64_t seed) const;

 private:
  audio::AudioLoadOptions load_;
  audio::AudioAugmentor augmentor_;
};

// How a batch's clips get one length: zeros behind the shorter ones, or their beginnings again and again with their
// ends last, which is then the length of all (NeMo's fixed_seq_collate_fn).
enum class ClipPadding { kZeros, kRepeat };
struct PaddedClips {
  at::Tensor audio;    // (B,T) float32
  at::Tensor lengths;  // (B) int64, samples
};
PaddedClips pad_clips(const std::vector<at::Tensor>& clips, ClipPadding padding);

}  // namespace fathom::asr
