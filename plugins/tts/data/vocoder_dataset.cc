#include "plugins/tts/data/vocoder_dataset.h"

#include <ATen/ATen.h>

#include <cmath>
#include <fstream>
#include <set>

#include "fathom/log_level.h"
#include "fathom/model_files.h"
#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

std::set<std::string> ignored_files(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::kNoInput, "the list of files to leave out cannot be read").at("ignore_file").seen(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) {
    throw Error(Code::kBadData, "the list of files to leave out is no JSON list")
        .at(path)
        .seen(text.empty()        ? "an empty file"
              : text[0] == '\x80' ? "a pickle"
                                  : text.substr(0, 40))
        .expected("[\"audio/1.wav\", …]")
        .next("in Python: json.dump(sorted(pickle.load(f)), out)");
  }
  std::set<std::string> names;
  for (const auto& name : list) {
    if (!name.is_string()) throw Error(Code::kBadData, "an entry is no path").at(path).seen(json_text(name));
    names.insert(name.get<std::string>());
  }
  return names;
}

}  // namespace

audio::Manifest open_clips(const Json& manifest_filepath, const std::optional<double>& min_duration,
                           const std::optional<double>& max_duration, const std::optional<std::string>& ignore_file) {
  audio::ManifestFilter filter;
  filter.needs_duration = false;
  filter.min_duration = min_duration;
  filter.max_duration = max_duration;
  const std::set<std::string> ignored = ignore_file ? ignored_files(*ignore_file) : std::set<std::string>();
  int64_t left_out = 0;
  filter.keep = [&](const audio::ManifestLine& line) {
    if (ignored.count(std::string(line.audio)) == 0) return true;
    ++left_out;
    return false;
  };
  audio::Manifest clips = audio::Manifest::open(audio::manifest_paths(manifest_filepath, "manifest_filepath"), filter);
  if (clips.dropped_by_duration().count > 0 || left_out > 0) {
    log(LogLevel::kInfo, "tts",
        std::to_string(clips.size()) + " clips; " + std::to_string(clips.dropped_by_duration().count) +
            " left out by their duration, " + std::to_string(left_out) + " by ignore_file");
  }
  return clips;
}

void VocoderDataset::Options::describe(OptionSet<Options>& o) {
  o.required("manifest_filepath", &Options::manifest_filepath,
             "JSON lines with audio_filepath: a path or a list of them")
      .example("train.json");
  o.required("sample_rate", &Options::sample_rate, "rate that all audio is resampled to", "Hz").example(22050);
  o("n_segments", &Options::n_segments, "length of the piece of a clip; null: the whole", "samples");
  o("max_duration", &Options::max_duration, "longer clips are left out", "s");
  o("min_duration", &Options::min_duration, "shorter clips are left out", "s");
  o("ignore_file", &Options::ignore_file, "JSON list of audio paths that are left out");
  o("trim", &Options::trim, "cut silence at both ends");
  o("load_precomputed_mel", &Options::load_precomputed_mel, "read the spectrogram at mel_filepath, for fine-tuning");
  o("hop_length", &Options::hop_length, "samples a frame of such a spectrogram", "samples");
}

VocoderDataset::VocoderDataset(const Options& options)
    : options_(options), load_(clip_options(options.sample_rate, {.trim = options.trim.value_or(false)})) {
  const auto need = [](bool there, const char* key) {
    if (there) return;
    throw Error(Code::kFailed, std::string(key) + " must be given with load_precomputed_mel").at(key).seen("null");
  };
  if (options_.load_precomputed_mel) {
    need(options_.hop_length.has_value(), "hop_length");
    need(options_.n_segments.has_value(), "n_segments");
    check_range("hop_length", *options_.hop_length, 1, 1 << 20);
  }
  if (options_.n_segments) check_range("n_segments", *options_.n_segments, 1, int64_t{1} << 30);
  clips_ = open_clips(options_.manifest_filepath, options_.min_duration, options_.max_duration, options_.ignore_file);
}

Ports VocoderDataset::outputs() const {
  Ports ports = {{"audio", {"B T", AudioSignal{options_.sample_rate}}}, {"audio_len", {"B", LengthsType{}}}};
  if (options_.load_precomputed_mel) ports.push_back({"audio_mel", {"B D T", MelSpectrogramType{}}});
  return ports;
}

VocoderItem VocoderDataset::get(int64_t index, uint64_t seed) const {
  const audio::ManifestEntry entry = clips_.entry(index);
  if (options_.load_precomputed_mel) return with_mel(entry, seed);
  return {options_.n_segments ? load_window(entry, load_, *options_.n_segments, seed) : load_clip(entry, load_), {}};
}

VocoderItem VocoderDataset::with_mel(const audio::ManifestEntry& entry, uint64_t seed) const {
  const auto named = entry.extras.find("mel_filepath");
  if (named == entry.extras.end()) {
    throw Error(Code::kBadData, "the line names no spectrogram")
        .at(entry.where())
        .expected("mel_filepath, as load_precomputed_mel is on");
  }
  const std::string path = audio::resolve_manifest_path(named->second, entry.manifest);
  const Values stored = load_tensors(path);
  if (stored.size() != 1) {
    throw Error(Code::kBadData, "the file holds no single spectrogram")
        .at(path)
        .seen(std::to_string(stored.size()) + " tensors")
        .expected("one, for " + entry.where());
  }
  at::Tensor mel = stored.begin()->second.tensor().to(at::kFloat);
  if (mel.dim() == 3 && mel.size(0) == 1) mel = mel[0];
  const int64_t hop = *options_.hop_length, wanted = *options_.n_segments, frames = (wanted + hop - 1) / hop;
  at::Tensor audio = load_clip(entry, load_);
  // A front-end may give a frame more or less than the hop says.
  if (mel.dim() != 2 || std::abs(mel.size(1) - audio.size(0) / hop) > 2) {
    throw Error(Code::kBadData, "the spectrogram is not of this clip")
        .at(entry.where())
        .seen((mel.dim() == 2 ? std::to_string(mel.size(1)) + " frames" : std::to_string(mel.dim()) + " dimensions") +
              " in " + path)
        .expected("about " + std::to_string(audio.size(0) / hop) + " frames of " + std::to_string(hop) + " samples")
        .next("make it anew from this audio, with ground-truth alignment");
  }
  if (audio.size(0) >= wanted && mel.size(1) > frames) {
    const int64_t start = draw(seed, mel.size(1) - frames);
    mel = mel.narrow(1, start, frames);
    const int64_t from = std::min(start * hop, audio.size(0)), to = std::min((start + frames) * hop, audio.size(0));
    audio = audio.narrow(0, from, to - from);
  } else {
    mel = mel.narrow(1, 0, std::min(mel.size(1), frames));
    audio = audio.narrow(0, 0, std::min(audio.size(0), wanted));
  }
  return {at::constant_pad_nd(audio, {0, frames * hop - audio.size(0)}),
          at::constant_pad_nd(mel, {0, frames - mel.size(1)})};
}

Values VocoderDataset::collate(const std::vector<const VocoderItem*>& items) const {
  std::vector<at::Tensor> audio, mels;
  for (const VocoderItem* item : items) {
    audio.push_back(item->audio);
    if (item->mel.defined()) mels.push_back(item->mel);
  }
  auto [signal, lengths] = padded(audio);
  Values batch = {{"audio", signal}, {"audio_len", lengths}};
  if (mels.empty()) return batch;
  for (const at::Tensor& mel : mels) {
    if (mel.size(0) != mels[0].size(0)) {
      throw Error(Code::kBadData, "spectrograms of one batch have different numbers of mel bands")
          .seen(std::to_string(mels[0].size(0)) + " and " + std::to_string(mel.size(0)));
    }
  }
  batch.add("audio_mel", at::stack(mels));
  return batch;
}

}  // namespace fathom::tts
