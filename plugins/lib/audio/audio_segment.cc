#include "plugins/lib/audio/audio_segment.h"

#include <soxr.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "fathom/error.h"
#include "plugins/lib/audio/sound_file.h"

namespace fathom::audio {
namespace {

struct CloseFile {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using File = std::unique_ptr<SNDFILE, CloseFile>;

constexpr sf_count_t kSamplesAtOnce = 1 << 20;
// Samples that a file may unpack to: eight hours at 16 kHz of any file, and of larger ones as silence packs in FLAC.
constexpr int64_t kAlwaysUnpacked = int64_t{8} * 3600 * 16000, kUnpackedPerByte = 64;

std::string place(const std::string& where, const std::string& path) { return where.empty() ? path : where; }

// A selection of channels in order.
void keep_channels(AudioSegment& audio, const std::vector<int64_t>& wanted, const std::string& where) {
  for (const int64_t channel : wanted) {
    if (channel >= 0 && channel < audio.channels) continue;
    throw Error(Code::kBadData, "channel_selector asks for a channel that the audio does not have")
        .at(where)
        .seen(std::to_string(channel))
        .expected("0 to " + std::to_string(audio.channels - 1));
  }
  const int64_t frames = audio.frames(), kept = static_cast<int64_t>(wanted.size());
  std::vector<float> out(static_cast<size_t>(frames * kept));
  for (int64_t t = 0; t < frames; ++t) {
    for (int64_t c = 0; c < kept; ++c) out[t * kept + c] = audio.samples[t * audio.channels + wanted[c]];
  }
  audio.samples = std::move(out);
  audio.channels = kept;
}

// Mean power of `length` frames of one channel that begin at `start`; frames outside the audio count as zero.
double mean_power(const AudioSegment& audio, int64_t channel, int64_t start, int64_t length) {
  const int64_t first = std::max<int64_t>(start, 0), last = std::min(start + length, audio.frames());
  double sum = 0;
  for (int64_t t = first; t < last; ++t) {
    const double x = audio.samples[t * audio.channels + channel];
    sum += x * x;
  }
  return sum / static_cast<double>(length);
}

}  // namespace

AudioSegment load_audio(const std::string& path, const AudioLoadOptions& options, const std::string& where) {
  SoundFile file(path, where, options.part);
  const SF_INFO& format = file.format();
  AudioSegment audio;
  audio.sample_rate = format.samplerate;
  audio.channels = format.channels;
  sf_count_t frames = format.frames;
  const auto skip = static_cast<sf_count_t>(options.offset * format.samplerate);
  if (options.offset > 0) {
    if (skip >= frames || sf_seek(file.get(), skip, SEEK_SET) < 0) {
      throw Error(Code::kBadData, "offset lies behind the end of the audio")
          .at(place(where, path))
          .seen("offset " + std::to_string(options.offset) + " s of " +
                std::to_string(static_cast<double>(frames) / format.samplerate) + " s in " + path);
    }
    frames -= skip;
  }
  if (options.duration > 0) frames = std::min(frames, static_cast<sf_count_t>(options.duration * format.samplerate));
  // Read in pieces: a damaged header may claim any number of frames.
  const sf_count_t piece = std::max<sf_count_t>(kSamplesAtOnce / format.channels, 1);
  const int64_t most = kAlwaysUnpacked + kUnpackedPerByte * file.size();
  sf_count_t got = 0;
  while (got < frames) {
    const sf_count_t wanted = std::min(piece, frames - got);
    if ((got + wanted) * format.channels > most) {
      throw Error(Code::kBadData, "audio file unpacks to an absurd length")
          .at(place(where, path))
          .seen(path + ", " + std::to_string(file.size()) + " bytes, of more than " + std::to_string(got) + " frames")
          .expected("at most " + std::to_string(most) + " samples")
          .next("if it is no damage, cut the file into shorter ones");
    }
    audio.samples.resize(static_cast<size_t>((got + wanted) * format.channels));
    const sf_count_t count = sf_readf_float(file.get(), audio.samples.data() + got * format.channels, wanted);
    got += std::max<sf_count_t>(count, 0);
    if (count < wanted) break;
  }
  const bool length_is_estimated = (format.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_MPEG;
  if (got < frames && !length_is_estimated) {
    throw Error(Code::kBadData, "audio file is damaged: it ends before the length in its header")
        .at(place(where, path))
        .seen(path + ", " + std::to_string(got) + " of " + std::to_string(frames) + " frames");
  }
  audio.samples.resize(static_cast<size_t>(got * format.channels));
  if (audio.samples.empty()) throw Error(Code::kBadData, "audio has no samples").at(place(where, path)).seen(path);

  select_channels(audio, options.channel_selector, place(where, path));
  if (options.target_sr > 0) resample(audio, options.target_sr);
  if (options.trim) trim_silence(audio, options.trim_top_db, options.trim_frame_length, options.trim_hop_length);
  if (options.normalize_db) apply_gain(audio, *options.normalize_db - rms_db(audio));
  return audio;
}

ChannelSelector parse_channel_selector(const Json& value, const std::string& path) {
  if (value.is_null()) return std::monostate{};
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_string() && value.get<std::string>() == "average") return ChannelAverage{};
  if (value.is_array() && !value.empty() &&
      std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_number_integer(); })) {
    return value.get<std::vector<int64_t>>();
  }
  throw Error(Code::kFailed, "channel_selector is not understood")
      .at(path)
      .seen(json_text(value))
      .expected("null, a number, a list of numbers or 'average'");
}

void select_channels(AudioSegment& audio, const ChannelSelector& selector, const std::string& where) {
  if (const auto* channel = std::get_if<int64_t>(&selector)) {
    if (audio.channels == 1 && *channel == 0) return;
    keep_channels(audio, {*channel}, where);
  } else if (const auto* channels = std::get_if<std::vector<int64_t>>(&selector)) {
    keep_channels(audio, *channels, where);
  } else if (std::holds_alternative<ChannelAverage>(selector) && audio.channels > 1) {
    const int64_t frames = audio.frames();
    std::vector<float> out(static_cast<size_t>(frames));
    for (int64_t t = 0; t < frames; ++t) {
      float sum = 0;
      for (int64_t c = 0; c < audio.channels; ++c) sum += audio.samples[t * audio.channels + c];
      out[t] = sum / static_cast<float>(audio.channels);
    }
    audio.samples = std::move(out);
    audio.channels = 1;
  }
}

void resample(AudioSegment& audio, int64_t target_sr) {
  if (target_sr <= 0) {
    throw Error(Code::kFailed, "a sample rate must be positive").seen(std::to_string(target_sr));
  }
  if (target_sr == audio.sample_rate || audio.samples.empty()) {
    audio.sample_rate = target_sr;
    return;
  }
  const double ratio = static_cast<double>(target_sr) / static_cast<double>(audio.sample_rate);
  const auto wanted = static_cast<size_t>(std::ceil(static_cast<double>(audio.frames()) * ratio));
  std::vector<float> out(static_cast<size_t>((static_cast<int64_t>(wanted) + 64) * audio.channels));
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  size_t used = 0, made = 0;
  const soxr_error_t failed =
      soxr_oneshot(static_cast<double>(audio.sample_rate), static_cast<double>(target_sr),
                   static_cast<unsigned>(audio.channels), audio.samples.data(), static_cast<size_t>(audio.frames()),
                   &used, out.data(), wanted + 64, &made, &io, &quality, &runtime);
  if (failed != nullptr) {
    throw Error(Code::kFailed, std::string("resampling failed: ") + failed)
        .seen(std::to_string(audio.sample_rate) + " Hz to " + std::to_string(target_sr) + " Hz");
  }
  out.resize(made * static_cast<size_t>(audio.channels));
  out.resize(wanted * static_cast<size_t>(audio.channels), 0.0f);
  audio.samples = std::move(out);
  audio.sample_rate = target_sr;
}

void trim_silence(AudioSegment& audio, double top_db, int64_t frame_length, int64_t hop_length) {
  if (frame_length <= 0 || hop_length <= 0) {
    throw Error(Code::kFailed, "trimming needs a positive frame and hop length")
        .seen(std::to_string(frame_length) + ", " + std::to_string(hop_length));
  }
  constexpr double kSmallest = 1e-10;  // librosa's amin of 1e-5, squared
  const int64_t frames = audio.frames(), count = 1 + (frames + 2 * (frame_length / 2) - frame_length) / hop_length;
  if (frames == 0 || count <= 0) return;
  std::vector<double> power(static_cast<size_t>(count * audio.channels));
  double loudest = kSmallest;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < audio.channels; ++c) {
      const double value = mean_power(audio, c, i * hop_length - frame_length / 2, frame_length);
      power[i * audio.channels + c] = value;
      loudest = std::max(loudest, value);
    }
  }
  int64_t first = -1, last = -1;
  for (int64_t i = 0; i < count; ++i) {
    double frame = 0;
    for (int64_t c = 0; c < audio.channels; ++c) frame = std::max(frame, power[i * audio.channels + c]);
    if (10 * std::log10(std::max(kSmallest, frame)) - 10 * std::log10(loudest) > -top_db) {
      if (first < 0) first = i;
      last = i;
    }
  }
  if (first < 0) {
    audio.samples.clear();
    return;
  }
  const int64_t start = std::min(first * hop_length, frames), end = std::min((last + 1) * hop_length, frames);
  audio.samples.assign(audio.samples.begin() + start * audio.channels, audio.samples.begin() + end * audio.channels);
}

double rms_db(const AudioSegment& audio) {
  double loudest = 0;
  for (int64_t c = 0; c < audio.channels; ++c) loudest = std::max(loudest, mean_power(audio, c, 0, audio.frames()));
  return 10 * std::log10(loudest);
}

void apply_gain(AudioSegment& audio, double gain_db) {
  const auto factor = static_cast<float>(std::pow(10.0, gain_db / 20.0));
  for (float& x : audio.samples) x *= factor;
}

void save_audio(const std::string& path, const AudioSegment& audio) {
  SF_INFO format{};
  format.samplerate = static_cast<int>(audio.sample_rate);
  format.channels = static_cast<int>(audio.channels);
  format.format = (path.ends_with(".flac") ? SF_FORMAT_FLAC : SF_FORMAT_WAV) | SF_FORMAT_PCM_16;
  const File file(sf_open(path.c_str(), SFM_WRITE, &format));
  if (file == nullptr) {
    throw Error(Code::kCantCreate, std::string("audio file cannot be written: ") + sf_strerror(nullptr)).at(path);
  }
  sf_command(file.get(), SFC_SET_CLIPPING, nullptr, SF_TRUE);
  if (sf_writef_float(file.get(), audio.samples.data(), audio.frames()) != audio.frames()) {
    throw Error(Code::kIo, std::string("audio file could not be written to its end: ") + sf_strerror(file.get()))
        .at(path);
  }
}

}  // namespace fathom::audio
