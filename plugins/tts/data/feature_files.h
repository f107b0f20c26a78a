// The features of several sets' recordings in files, as NeMo lays them: {feature_dir}/{feature}/{audio path}.npy, whole
// files' features, of which clips with an offset take their part. What is missing is computed and kept. Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "plugins/tts/data/clip_sets.h"
#include "plugins/tts/data/featurizers.h"
#include "plugins/tts/data/sup_files.h"

namespace fathom::tts {

class FeatureFiles {
 public:
  FeatureFiles() = default;
  // Makes the folders of sets with a feature_dir. Errors: those of SupFolder.
  FeatureFiles(const Json& featurizers, const std::string& path, const ClipSets& sets);

  // All features of a clip, by the featurizers' order. `overwrite`: computed anew, whatever lies there. Throws
  // kBadData, at the line, for a file that is none or not of this clip, and what load_audio says.
  std::vector<Featurizer::Feature> load(const ClipSets::Clip& clip, bool overwrite = false) const;
  // Names, without values.
  std::vector<Featurizer::Feature> features() const;

 private:
  struct Folders {
    std::vector<SupFolder> of_features;
  };
  std::vector<std::shared_ptr<const Featurizer>> featurizers_;
  std::vector<std::vector<Folders>> folders_;  // by set and featurizer
};

}  // namespace fathom::tts
