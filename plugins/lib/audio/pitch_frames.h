// What both ways to a pitch begin with. Internal to pitch.cc and pyin.cc.
#pragma once

#include <span>
#include <vector>

#include "plugins/lib/audio/pitch.h"

namespace fathom::audio {

struct PitchFrames {
  // Checks the options, which pyin() says how.
  PitchFrames(std::span<const float> audio, const PitchOptions& options);
  int64_t count() const;
  const float* frame(int64_t index) const { return padded.data() + index * hop; }

  int64_t length, hop;
  int64_t min_period, max_period;  // samples
  std::vector<float> padded;
};

// sums[k] = sum over i of x[i] x[i + k], of a frame of `length` samples.
void autocorrelate(const float* x, int64_t length, std::vector<double>& sums);

}  // namespace fathom::audio
