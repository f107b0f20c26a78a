// What the cases of language models share.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/checkpoint/torch_file.h"
#include "fathom/dataset.h"
#include "tests/conformance/model_compare.h"

namespace fathom::conformance {

constexpr Bounds kEncoderBounds{2e-5, 1e-4};

inline std::map<std::string, at::Tensor> recorded_in(const std::string& file) {
  std::map<std::string, at::Tensor> out;
  for (auto& [name, tensor] : checkpoint::load_safetensors(file)) out[name] = tensor;
  return out;
}

// Items [first, first + count) of a dataset as one batch.
inline Values batch_of(const DatasetHandle& data, int64_t first, int64_t count) {
  std::vector<DatasetHandle::Sample> samples;
  for (int64_t i = first; i < std::min(first + count, data.size()); ++i) samples.push_back(data.get(i, 0));
  return data.collate(samples);
}

}  // namespace fathom::conformance
