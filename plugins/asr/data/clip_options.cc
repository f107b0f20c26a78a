#include "plugins/asr/data/clip_options.h"

#include <algorithm>
#include <cstdio>

#include "plugins/asr/option_range.h"

namespace fathom::asr {

void ClipOptions::describe(OptionSet<ClipOptions>& o) {
  using Options = ClipOptions;
  o.required("manifest_filepath", &Options::manifest_filepath,
             "manifest: JSON lines; several: a list, or separated by commas");
  o("sample_rate", &Options::sample_rate, "audio is resampled to this rate", "Hz");
  o("int_values", &Options::int_values, "read samples as integers; they are scaled to [-1, 1) either way");
  o("augmentor", &Options::augmentor, "perturbations of the audio: {type: {prob, options}}");
  o("max_duration", &Options::max_duration, "longer clips are left out", "s");
  o("min_duration", &Options::min_duration, "shorter clips are left out", "s");
  o("trim_silence", &Options::trim_silence, "cut silence (60 dB below the loudest frame) at both ends");
  o("channel_selector", &Options::channel_selector, "channel to take: a number, or 'average'");
}

audio::AudioLoadOptions load_options(const ClipOptions& options) {
  check_range("sample_rate", options.sample_rate, 1, kHighestRate);
  audio::AudioLoadOptions load;
  load.target_sr = options.sample_rate;
  load.trim = options.trim_silence;
  load.channel_selector = audio::parse_channel_selector(options.channel_selector, "channel_selector");
  return load;
}

audio::Manifest open_clips(const ClipOptions& options, audio::ManifestFilter filter) {
  filter.min_duration = options.min_duration;
  filter.max_duration = options.max_duration;
  audio::Manifest clips =
      audio::Manifest::open(audio::manifest_paths(options.manifest_filepath, "manifest_filepath"), filter);
  if (const audio::Dropped& dropped = clips.dropped_by_duration(); dropped.count > 0) {
    log(LogLevel::kInfo, "asr.data",
        std::to_string(dropped.count) + " clips (" + in_hours(dropped.seconds) +
            ") were left out by min_duration and max_duration");
  }
  return clips;
}

std::string in_hours(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f hours", seconds / 3600);
  return text;
}

}  // namespace fathom::asr
