// How far a synthesis is from a recording of the same text, frame by frame along the way that aligns the two best.
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/json.h"

namespace fathom::tts {

struct SynthesisQuality {
  // Mel cepstral distortion (Kubichek 1993), dB: 10 sqrt(2) / ln 10 times the mean distance of the cepstra 1 to 13,
  // which are the coefficients of the series of cosines that the logarithms of the amplitudes of 80 mel bands are (the
  // loudness, cepstrum 0, left out).
  double mel_cepstral_distortion = 0;
  // Of the frames where both are voiced; nothing (NaN) where there is none. Pitch by pYIN.
  double f0_rmse = 0;            // Hz
  double gross_pitch_error = 0;  // share of them that are off by more than a fifth
  double voicing_error = 0;      // share of all frames where one is voiced and the other is not
  double duration_ratio = 0;     // synthesis / recording
  Json json() const;             // NaN as null
};

// Both (T) float32 at `sample_rate` Hz. Throws Error(kBadData) for audio shorter than a frame of 64 ms, or for more
// than two minutes, whose alignment would take gigabytes.
SynthesisQuality compare_speech(const at::Tensor& recording, const at::Tensor& synthesis, int64_t sample_rate);

}  // namespace fathom::tts
