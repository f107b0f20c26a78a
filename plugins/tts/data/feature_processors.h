// What is done to an item's fields before a batch is made of them, under NeMo's names (nemo.collections.tts.parts
// .preprocessing.feature_processors): FeatureScaler, LogCompression, MeanVarianceNormalization,
// MeanVarianceSpeakerNormalization. Thread-safe once made.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fathom/options.h"

namespace fathom::tts {

// An item as processors see it.
struct Fields {
  std::map<std::string, at::Tensor> values;  // "audio", and the features by name
  std::string speaker, dataset_name;         // "": the line names none
  std::string where;                         // manifest:line
};

class FeatureProcessor {
 public:
  virtual ~FeatureProcessor() = default;
  // Throws kBadData, at the item, for a field that is not there, a mask of another length, a speaker without
  // statistics.
  virtual void process(Fields& item) const = 0;
};

// Of a section {NAME: {_target_: …MeanVarianceNormalization, …}}, in its order; null: none. Throws Error: kFailed
// naming the key, kNoInput and kBadData for files of statistics.
std::vector<std::unique_ptr<FeatureProcessor>> make_feature_processors(const Json& section, const std::string& path);

}  // namespace fathom::tts
