// Audio of a manifest's line as a tensor of samples.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "plugins/lib/audio/audio_segment.h"
#include "plugins/lib/audio/manifest.h"

namespace fathom::tts {

// NeMo's keys for trimming silence (librosa.effects.trim); null takes librosa's own.
struct TrimOptions {
  bool trim = false;
  std::optional<double> top_db = {};
  std::optional<int64_t> frame_length = {}, hop_length = {};
};

// How clips are read. Throws Error (kFailed) for a sampling rate that no audio has.
audio::AudioLoadOptions clip_options(int64_t sample_rate, const TrimOptions& trim);

// (T) float32, resampled. Errors name the manifest's file and line: what load_audio says, several channels, nothing
// left by trimming.
at::Tensor load_clip(const audio::ManifestEntry& entry, const audio::AudioLoadOptions& options);
// The same from the line's offset on, and no longer than its duration or `longest` seconds, whichever is less.
at::Tensor load_part(const audio::ManifestEntry& entry, const audio::AudioLoadOptions& options,
                     const std::optional<double>& longest = std::nullopt);
// All of the line's file, whatever part of it the line means; several channels become their mean.
at::Tensor load_whole_file(const audio::ManifestEntry& entry, int64_t sample_rate);
// The same of `samples` samples at the rate of `options` (all, where there are no more) from a place that `seed` draws:
// only these are read. With `within`, the place lies in the line's part of the file.
at::Tensor load_window(const audio::ManifestEntry& entry, const audio::AudioLoadOptions& options, int64_t samples,
                       uint64_t seed, bool within = false);

// `audio` without what is silent at both ends: quieter by trim_top_db of `options` than the amplitude `reference`.
at::Tensor trimmed_to(const at::Tensor& audio, double reference, const audio::AudioLoadOptions& options,
                      const audio::ManifestEntry& entry);

// A number from 0 to `bound` - 1 that depends on `seed` alone.
int64_t draw(uint64_t seed, int64_t bound);

// (B, longest) float32 with zeros behind the shorter ones, and their lengths (B) int64.
std::pair<at::Tensor, at::Tensor> padded(const std::vector<at::Tensor>& rows);

}  // namespace fathom::tts
