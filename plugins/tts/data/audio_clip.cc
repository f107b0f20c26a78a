#include "plugins/tts/data/audio_clip.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "plugins/lib/audio/sound_file.h"
#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

constexpr int64_t kHighestRate = 768'000;  // Hz

at::Tensor tensor_of(const audio::AudioSegment& audio, const audio::ManifestEntry& entry) {
  if (audio.channels != 1) {
    throw Error(Code::kBadData, "audio has several channels")
        .at(entry.where())
        .seen(std::to_string(audio.channels) + " channels in " + entry.audio_file)
        .expected("one voice in one channel");
  }
  if (audio.samples.empty()) {
    throw Error(Code::kBadData, "audio is silent throughout: trimming leaves nothing")
        .at(entry.where())
        .seen(entry.audio_file);
  }
  const at::Tensor samples = at::empty({audio.frames()}, at::kFloat);
  std::memcpy(samples.data_ptr<float>(), audio.samples.data(), audio.samples.size() * sizeof(float));
  return samples;
}

}  // namespace

audio::AudioLoadOptions clip_options(int64_t sample_rate, const TrimOptions& trim) {
  check_range("sample_rate", sample_rate, 1, kHighestRate);
  audio::AudioLoadOptions load;
  load.target_sr = sample_rate;
  load.trim = trim.trim;
  load.trim_top_db = trim.top_db.value_or(60);
  load.trim_frame_length = trim.frame_length.value_or(2048);
  load.trim_hop_length = trim.hop_length.value_or(512);
  check_range("trim_frame_length", load.trim_frame_length, 1, 1 << 20);
  check_range("trim_hop_length", load.trim_hop_length, 1, 1 << 20);
  return load;
}

at::Tensor load_clip(const audio::ManifestEntry& entry, const audio::AudioLoadOptions& options) {
  audio::AudioLoadOptions load = options;
  load.part = entry.part;
  load.offset = entry.offset;
  if (entry.offset > 0) load.duration = entry.duration;
  return tensor_of(audio::load_audio(entry.audio_file, load, entry.where()), entry);
}

at::Tensor load_part(const audio::ManifestEntry& entry, const audio::AudioLoadOptions& options,
                     const std::optional<double>& longest) {
  audio::AudioLoadOptions load = options;
  load.part = entry.part;
  load.offset = entry.offset;
  load.duration = std::max(entry.duration, 0.0);
  if (longest) load.duration = load.duration > 0 ? std::min(load.duration, *longest) : *longest;
  return tensor_of(audio::load_audio(entry.audio_file, load, entry.where()), entry);
}

at::Tensor load_whole_file(const audio::ManifestEntry& entry, int64_t sample_rate) {
  audio::AudioLoadOptions load;
  load.target_sr = sample_rate;
  load.part = entry.part;
  load.channel_selector = audio::ChannelAverage{};
  return tensor_of(audio::load_audio(entry.audio_file, load, entry.where()), entry);
}

at::Tensor load_window(const audio::ManifestEntry& entry, const audio::AudioLoadOptions& options, int64_t samples,
                       uint64_t seed, bool within) {
  const SF_INFO format = audio::SoundFile(entry.audio_file, entry.where(), entry.part).format();
  // As many at the file's own rate, rounded up, as NeMo's AudioSegment.segment_from_file.
  const auto wanted = static_cast<int64_t>(
      std::ceil(static_cast<double>(samples) * format.samplerate / static_cast<double>(options.target_sr)));
  sf_count_t first = 0, end = format.frames;
  if (within && entry.duration > 0) {
    first = std::min(end, static_cast<sf_count_t>(entry.offset * format.samplerate));
    end = std::min(end, static_cast<sf_count_t>((entry.offset + entry.duration) * format.samplerate));
    if (end - first <= wanted) {
      const at::Tensor all = load_part(entry, options);
      return all.size(0) > samples ? all.narrow(0, 0, samples).clone() : all;
    }
  }
  if (format.frames <= wanted || options.trim) {
    const at::Tensor all = load_clip(entry, options);
    if (all.size(0) <= samples) return all;
    return all.narrow(0, draw(seed, all.size(0) - samples + 1), samples).clone();
  }
  audio::AudioLoadOptions load = options;
  load.part = entry.part;
  load.offset = static_cast<double>(first + draw(seed, end - first - wanted + 1)) / format.samplerate;
  load.duration = static_cast<double>(wanted) / format.samplerate;
  const at::Tensor window = tensor_of(audio::load_audio(entry.audio_file, load, entry.where()), entry);
  return window.size(0) > samples ? window.narrow(0, 0, samples).clone() : window;
}

at::Tensor trimmed_to(const at::Tensor& audio, double reference, const audio::AudioLoadOptions& options,
                      const audio::ManifestEntry& entry) {
  audio::AudioSegment segment;
  segment.sample_rate = options.target_sr;
  const float* samples = audio.const_data_ptr<float>();
  segment.samples.assign(samples, samples + audio.numel());
  // audio::trim_silence compares with the loudest frame: the threshold moves by as much as that one is louder.
  const int64_t length = options.trim_frame_length, hop = options.trim_hop_length;
  double loudest = 0;
  for (int64_t start = -(length / 2); start + length <= audio.size(0) + length / 2; start += hop) {
    double sum = 0;
    for (int64_t i = std::max<int64_t>(start, 0); i < std::min(start + length, audio.size(0)); ++i)
      sum += static_cast<double>(samples[i]) * samples[i];
    loudest = std::max(loudest, sum / static_cast<double>(length));
  }
  constexpr double kSmallest = 1e-10;
  const double louder = 10 * std::log10(std::max(loudest, kSmallest) / std::max(reference * reference, kSmallest));
  audio::trim_silence(segment, options.trim_top_db + louder, length, hop);
  return tensor_of(segment, entry);
}

int64_t draw(uint64_t seed, int64_t bound) {
  // splitmix64 (Steele et al. 2014); the bias of the remainder is below 2^-40 for any clip.
  uint64_t x = seed + 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  x ^= x >> 31;
  return bound <= 1 ? 0 : static_cast<int64_t>(x % static_cast<uint64_t>(bound));
}

std::pair<at::Tensor, at::Tensor> padded(const std::vector<at::Tensor>& rows) {
  const auto count = static_cast<int64_t>(rows.size());
  int64_t longest = 0;
  for (const at::Tensor& row : rows) longest = std::max(longest, row.size(0));
  std::pair<at::Tensor, at::Tensor> out{at::zeros({count, longest}, rows[0].options()), at::empty({count}, at::kLong)};
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor& row = rows[static_cast<size_t>(i)];
    out.first[i].narrow(0, 0, row.size(0)).copy_(row);
    out.second[i] = row.size(0);
  }
  return out;
}

}  // namespace fathom::tts
