// The options that all data sets over a manifest's clips have, and what they do with them.
#pragma once

#include "fathom/options.h"
#include "plugins/lib/audio/audio_segment.h"
#include "plugins/lib/audio/manifest.h"

namespace fathom::asr {

struct ClipOptions {
  Json manifest_filepath;
  int64_t sample_rate = 16000;  // Hz
  bool int_values = false;
  Json augmentor;
  std::optional<double> max_duration, min_duration;  // s
  bool trim_silence = false;
  Json channel_selector;
  static void describe(OptionSet<ClipOptions>& o);
};

// How each clip is read. Throws Error (kFailed), naming the option.
audio::AudioLoadOptions load_options(const ClipOptions& options);

// The clips of the manifests within the options' durations, of which `filter` keeps its own. How many the durations
// leave out goes to the log. Errors: those of Manifest::open.
audio::Manifest open_clips(const ClipOptions& options, audio::ManifestFilter filter);

// "N clips, H hours" of all clips whose duration is known.
template <typename Clips>
std::string summary_of(const Clips& clips);
// "1.25 hours".
std::string in_hours(double seconds);

template <typename Clips>
std::string summary_of(const Clips& clips) {
  double seconds = 0;
  for (int64_t i = 0; i < clips.size(); ++i) seconds += clips.duration(i) > 0 ? clips.duration(i) : 0;
  return std::to_string(clips.size()) + " clips, " + in_hours(seconds);
}

}  // namespace fathom::asr
