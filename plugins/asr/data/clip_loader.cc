#include "plugins/asr/data/clip_loader.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "fathom/error.h"

namespace fathom::asr {

ClipLoader::ClipLoader(const audio::AudioLoadOptions& load, const Json& augmentor)
    : load_(load), augmentor_(augmentor, "augmentor") {}

at::Tensor ClipLoader::load(const audio::ManifestEntry& entry, uint64_t seed) const {
  audio::AudioLoadOptions load = load_;
  load.part = entry.part;
  load.offset = entry.offset;
  load.duration = entry.duration;
  audio::AudioSegment audio = audio::load_audio(entry.audio_file, load, entry.where());
  if (audio.channels != 1) {
    throw Error(Code::kBadData, "audio has several channels and none was chosen")
        .at(entry.where())
        .seen(std::to_string(audio.channels) + " channels in " + entry.audio_file)
        .next("set channel_selector to a number or to 'average'");
  }
  if (!augmentor_.empty()) {
    audio::Rng rng(seed);
    augmentor_.apply(audio, rng);
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

PaddedClips pad_clips(const std::vector<at::Tensor>& clips, ClipPadding padding) {
  const auto count = static_cast<int64_t>(clips.size());
  int64_t longest = 0;
  for (const at::Tensor& clip : clips) longest = std::max(longest, clip.size(0));
  PaddedClips out{at::zeros({count, longest}, at::kFloat), at::full({count}, longest, at::kLong)};
  for (int64_t i = 0; i < count; ++i) {
    const float* from = clips[i].const_data_ptr<float>();
    float* to = out.audio.data_ptr<float>() + i * longest;
    const int64_t length = clips[i].size(0);
    if (padding == ClipPadding::kZeros) {
      std::copy_n(from, length, to);
      out.lengths.data_ptr<int64_t>()[i] = length;
      continue;
    }
    for (int64_t at = 0; length > 0 && at < longest; at += length) {
      const int64_t rest = std::min(longest - at, length);
      std::copy_n(from + (length - rest), rest, to + at);  // the last, shorter piece is the clip's end
    }
  }
  return out;
}

}  // namespace fathom::asr
