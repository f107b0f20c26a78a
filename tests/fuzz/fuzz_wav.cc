// An audio file, as it is and resampled.
#include "core/base/file.h"
#include "plugins/lib/audio/audio_segment.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  const std::string path = fuzz::scratch_folder() + "/fuzz.wav";
  write_file_atomically(path, bytes);
  audio::AudioLoadOptions options;
  if (bytes.size() % 2 == 0) options.target_sr = 16000;
  if (bytes.size() % 3 == 0) options.channel_selector = audio::ChannelAverage{};
  const auto clip = audio::load_audio(path, options);
  fuzz::must_equal(std::to_string(clip.samples.size()), std::to_string(clip.frames() * clip.channels), "samples");
}

}  // namespace

FATHOM_FUZZ(one_input)
