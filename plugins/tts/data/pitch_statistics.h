// Mean and deviation of the pitch of a set, by which it is normalised. Thread-safe once made.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>

namespace fathom::tts {

struct PitchStatistics {
  double mean = 0, std = 1;  // Hz, over voiced frames
};

// Either one mean and deviation for all, or a JSON file {speaker number or "default": {"pitch_mean", "pitch_std"}}.
class PitchScale {
 public:
  PitchScale() = default;  // leaves the pitch as it is
  // Throws Error (kFailed, kNoInput, kBadData): none of both or both given, one of mean and deviation without the
  // other, a deviation that is not positive, a file that is none.
  PitchScale(const std::optional<double>& mean, const std::optional<double>& std,
             const std::optional<std::string>& stats_path);

  // Voiced frames (those that are not 0) to (pitch - mean) / std; the others stay 0. `speaker`: as the manifest has it.
  // Throws kBadData, at `where`, for a speaker that the file does not know.
  at::Tensor operator()(const at::Tensor& pitch, const std::string& speaker, const std::string& where) const;

 private:
  const PitchStatistics& of(const std::string& speaker, const std::string& where) const;
  bool on_ = false;
  std::optional<PitchStatistics> all_;
  std::string path_;
  std::map<std::string, PitchStatistics> by_speaker_;
};

}  // namespace fathom::tts
