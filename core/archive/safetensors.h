// safetensors files: an 8-byte length, a JSON header {"name": {"dtype", "shape", "data_offsets"}}, the tensors' bytes.
// Tensors are PickleTensors here too, so that torch_file.h turns them into at::Tensors.
// Thread-safe: no shared state.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/archive/pickle_value.h"
#include "core/base/file.h"

namespace fathom::checkpoint {

struct SafetensorsFile {
  std::vector<std::pair<std::string, PickleTensor>> tensors;  // in the order of their data; views into the mapped file
  std::map<std::string, std::string> metadata;                // the header's "__metadata__"

  const PickleTensor* find(std::string_view name) const;  // null when absent
};

// Error(kBadData) for a file that is no safetensors file: a header that is cut, no JSON, or too long; ranges that
// overlap, leave gaps or disagree with the shape; unknown dtypes.
SafetensorsFile read_safetensors(const std::string& path);

// Tensors must be contiguous and loaded. Largest alignment first, as the reference writer does, then by name.
void write_safetensors(const std::string& path, const SafetensorsFile& file);

}  // namespace fathom::checkpoint
