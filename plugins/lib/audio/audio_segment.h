// Audio files to samples, as NeMo's AudioSegment loads them: libsndfile for reading (wav, flac, ogg, …), soxr "HQ" for
// resampling. Uses no torch; no state, thread-safe.
//
// Samples are float32; integers are divided by 2^(bits-1), so that they lie in [-1, 1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "fathom/support.h"
#include "plugins/lib/audio/file_part.h"

namespace fathom::audio {

struct AudioSegment {
  std::vector<float> samples;  // frames x channels, channels together
  int64_t sample_rate = 0;     // Hz
  int64_t channels = 1;
  int64_t frames() const { return channels == 0 ? 0 : static_cast<int64_t>(samples.size()) / channels; }
  double duration() const {
    return sample_rate == 0 ? 0 : static_cast<double>(frames()) / static_cast<double>(sample_rate);
  }
};

// Which channels stay: all of them (nothing), one by number, some by number, or their mean.
struct ChannelAverage {};
using ChannelSelector = std::variant<std::monostate, int64_t, std::vector<int64_t>, ChannelAverage>;
// A config's value: null, a number, a list of numbers or "average". Errors name `path`, the value's place.
ChannelSelector parse_channel_selector(const Json& value, const std::string& path);

struct AudioLoadOptions {
  int64_t target_sr = 0;  // Hz; 0: the file's
  FilePart part;          // of the file that is read
  double offset = 0;      // seconds to skip
  double duration = 0;    // seconds to read; 0 or less: to the end
  ChannelSelector channel_selector;
  bool trim = false;  // cut silence at both ends
  double trim_top_db = 60;
  int64_t trim_frame_length = 2048, trim_hop_length = 512;
  std::optional<double> normalize_db;  // scale to this level, dB below full scale
};

// Errors carry `where` (manifest file:line, "" = the path): kNoInput for a file that is missing or unreadable, kBadData
// for one that is no audio, is empty, ends before `offset`, or has no such channel.
AudioSegment load_audio(const std::string& path, const AudioLoadOptions& options = {}, const std::string& where = "");

void select_channels(AudioSegment& audio, const ChannelSelector& selector, const std::string& where = "");
// Length becomes ceil(frames * to / from), as librosa.resample's.
void resample(AudioSegment& audio, int64_t target_sr);
// librosa.effects.trim: frames (centred, zero padded) louder than the loudest one minus top_db stay, and all between.
void trim_silence(AudioSegment& audio, double top_db, int64_t frame_length, int64_t hop_length);
// 10 log10(mean(x^2)) over one channel; the loudest channel's when there are several.
double rms_db(const AudioSegment& audio);
void apply_gain(AudioSegment& audio, double gain_db);

// 16-bit PCM in a container chosen by the path's ending: .wav or .flac.
void save_audio(const std::string& path, const AudioSegment& audio);

}  // namespace fathom::audio
