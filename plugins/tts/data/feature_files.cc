#include "plugins/tts/data/feature_files.h"

#include <ATen/ATen.h>

#include <cmath>

#include "fathom/log_level.h"
#include "plugins/tts/data/audio_clip.h"

namespace fathom::tts {
namespace {

int64_t frames_in(double seconds, const Featurizer& featurizer) {
  return static_cast<int64_t>(seconds * static_cast<double>(featurizer.sample_rate())) / featurizer.hop_length();
}

// The clip's part of the whole file's feature.
at::Tensor part_of(const at::Tensor& whole, const ClipSets::Clip& clip, const Featurizer& featurizer,
                   const std::string& name, const std::string& file) {
  const double duration = clip.entry.duration;
  if (duration < 0) return whole;
  const int64_t length = whole.size(-1), first = frames_in(clip.entry.offset, featurizer),
                wanted = 1 + frames_in(duration, featurizer);
  if (clip.entry.offset == 0 && std::abs(length - wanted) <= 1) return whole;
  if (first + wanted > length + 1) {
    throw Error(Code::kBadData, "the feature '" + name + "' is not of this clip")
        .at(clip.entry.where())
        .seen(std::to_string(length) + " frames in " + file)
        .expected("at least " + std::to_string(first + wanted - 1))
        .next(
            "was it computed of other audio, or with another sample rate or hop length? Delete the file to have it "
            "computed anew");
  }
  return whole.narrow(-1, first, std::min(wanted, length - first));
}

}  // namespace

FeatureFiles::FeatureFiles(const Json& featurizers, const std::string& path, const ClipSets& sets) {
  for (auto& one : make_featurizers(featurizers, path)) featurizers_.push_back(std::move(one));
  bool keeps = true;
  for (const ClipSet& set : sets.sets()) {
    auto& of_set = folders_.emplace_back();
    for (const auto& featurizer : featurizers_) {
      auto& of_one = of_set.emplace_back();
      for (const auto& feature : featurizer->features()) {
        if (set.feature_dir.empty())
          of_one.of_features.emplace_back();
        else
          of_one.of_features.emplace_back(set.feature_dir + "/" + feature.name, featurizer->settings());
      }
    }
    keeps = keeps && !set.feature_dir.empty();
  }
  if (!keeps && !featurizers_.empty())
    log(LogLevel::kWarning, "tts", "features are computed anew for every item: set feature_dir to keep them");
}

std::vector<Featurizer::Feature> FeatureFiles::features() const {
  std::vector<Featurizer::Feature> out;
  for (const auto& featurizer : featurizers_) {
    for (auto& feature : featurizer->features()) out.push_back(std::move(feature));
  }
  return out;
}

std::vector<Featurizer::Feature> FeatureFiles::load(const ClipSets::Clip& clip, bool overwrite) const {
  std::vector<Featurizer::Feature> out;
  std::map<int64_t, at::Tensor> audio;  // by rate
  const auto& of_set = folders_.at(clip.set_number);
  for (size_t i = 0; i < featurizers_.size(); ++i) {
    const Featurizer& featurizer = *featurizers_[i];
    const std::vector<SupFolder>& folders = of_set[i].of_features;
    std::vector<Featurizer::Feature> features = featurizer.features();
    bool complete = !overwrite;
    for (size_t k = 0; k < features.size() && complete; ++k) {
      const auto kept = folders[k].load(clip.name);
      complete = kept.has_value();
      if (complete) features[k].values = features[k].is_mask ? kept->ne(0) : *kept;
    }
    if (!complete) {
      at::Tensor& samples = audio[featurizer.sample_rate()];
      if (!samples.defined()) samples = load_whole_file(clip.entry, featurizer.sample_rate());
      features =
          featurizer.compute(featurizer.volume_norm() ? normalized_volume(samples) : samples, clip.entry.where());
      for (size_t k = 0; k < features.size(); ++k) folders[k].save_npy(clip.name, features[k].values);
    }
    for (size_t k = 0; k < features.size(); ++k) {
      features[k].values = part_of(features[k].values, clip, featurizer, features[k].name, folders[k].file(clip.name));
      out.push_back(std::move(features[k]));
    }
  }
  return out;
}

}  // namespace fathom::tts
