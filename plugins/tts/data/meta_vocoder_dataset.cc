#include "plugins/tts/data/meta_vocoder_dataset.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "plugins/lib/option_range.h"
#include "plugins/tts/data/audio_clip.h"
#include "plugins/tts/data/featurizers.h"

namespace fathom::tts {

at::Tensor sinc_resampled(const at::Tensor& audio, int64_t from, int64_t to) {
  if (from == to) return audio;
  constexpr double kCrossings = 6, kRolloff = 0.99;
  const int64_t common = std::gcd(from, to), in = from / common, out = to / common;
  const double cutoff = static_cast<double>(std::min(in, out)) * kRolloff;
  const auto width = static_cast<int64_t>(std::ceil(kCrossings * static_cast<double>(in) / cutoff));
  const at::Tensor place = at::arange(-width, width + in, at::kDouble).div(static_cast<double>(in)).view({1, 1, -1});
  const at::Tensor phase = at::arange(out, at::kDouble).div(-static_cast<double>(out)).view({-1, 1, 1});
  const at::Tensor t = ((phase + place) * cutoff).clamp(-kCrossings, kCrossings);
  const at::Tensor window = (t * (std::numbers::pi / kCrossings / 2)).cos().square();
  const at::Tensor kernel = (at::sinc(t) * window * (cutoff / static_cast<double>(in))).to(at::kFloat);
  const at::Tensor padded = at::constant_pad_nd(audio, {width, width + in}).unsqueeze(1);
  const at::Tensor made = at::conv1d(padded, kernel, {}, {in}).transpose(1, 2).reshape({audio.size(0), -1});
  return made.narrow(1, 0, (out * audio.size(1) + in - 1) / in).contiguous();
}

void MetaVocoderOptions::describe(OptionSet<MetaVocoderOptions>& o) {
  using Options = MetaVocoderOptions;
  o.include<ClipSetsOptions>();
  o.required("sample_rate", &Options::sample_rate, "all audio is resampled to this rate", "Hz").example(22050);
  o("resample_rate", &Options::resample_rate, "rate of the batches; null: sample_rate", "Hz");
  o("n_samples", &Options::n_samples, "length of the piece of a clip; null: the whole", "samples");
  o("trunc_duration", &Options::trunc_duration, "without n_samples: no more of a clip than this", "s");
  o("feature_processors", &Options::feature_processors, "sections of FeatureScaler and the like, for audio");
  o("volume_norm", &Options::volume_norm, "the loudest sample at 0.95");
}

MetaVocoderDataset::MetaVocoderDataset(const Options& options)
    : options_(options), load_(clip_options(options.sample_rate, {})) {
  if (options_.resample_rate) check_range("resample_rate", *options_.resample_rate, 1, 768'000);
  if (options_.n_samples) check_range("n_samples", *options_.n_samples, 1, int64_t{1} << 30);
  if (options_.trunc_duration && !(*options_.trunc_duration > 0)) {
    throw Error(Code::kFailed, "nothing would be left of a clip")
        .at("trunc_duration")
        .seen(std::to_string(*options_.trunc_duration));
  }
  sets_ = ClipSets(options_);
  processors_ = make_feature_processors(options_.feature_processors, "feature_processors");
}

const void* MetaVocoderDataset::query(std::string_view id) const {
  struct Get {
    static const ClipSets& get(void* self) {
      return static_cast<const MetaVocoderDataset&>(Dataset::Storage::get(self)).sets_;
    }
  };
  return sets_.draws() && id == Capability<BatchPlanner>::id ? Capability<BatchPlanner>::table<Get>() : nullptr;
}

Ports MetaVocoderDataset::outputs() const {
  return {{"audio", {"B T", AudioSignal{options_.resample_rate.value_or(options_.sample_rate)}}},
          {"audio_len", {"B", LengthsType{}}}};
}

MetaVocoderItem MetaVocoderDataset::get(int64_t index, uint64_t seed) const {
  const ClipSets::Clip clip = sets_.clip(index);
  Fields fields;
  fields.speaker = clip.entry.speaker;
  fields.dataset_name = clip.set->name;
  fields.where = clip.entry.where();
  at::Tensor& audio = fields.values["audio"];
  audio = options_.n_samples ? load_window(clip.entry, load_, *options_.n_samples, seed, /*within=*/true)
                             : load_part(clip.entry, load_, options_.trunc_duration);
  if (options_.volume_norm) audio = normalized_volume(audio);
  for (const auto& processor : processors_) processor->process(fields);
  return {audio, clip.set->name, clip.entry.named_as};
}

Values MetaVocoderDataset::collate(const std::vector<const MetaVocoderItem*>& items) const {
  std::vector<at::Tensor> audio;
  Value::List sets, paths;
  for (const MetaVocoderItem* item : items) {
    audio.push_back(item->audio);
    sets.emplace_back(item->dataset_name);
    paths.emplace_back(item->audio_filepath);
  }
  auto [signal, lengths] = padded(audio);
  const int64_t from = options_.sample_rate, to = options_.resample_rate.value_or(from);
  if (from != to) {
    signal = sinc_resampled(signal, from, to);
    lengths = lengths.mul(to).add(from - 1).floor_divide(from);
    signal.masked_fill_(at::arange(signal.size(1)).unsqueeze(0).ge(lengths.unsqueeze(1)), 0);
  }
  return {{"audio", signal},
          {"audio_len", lengths},
          {"dataset_names", std::move(sets)},
          {"audio_filepaths", std::move(paths)}};
}

}  // namespace fathom::tts
