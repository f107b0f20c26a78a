// The weights and the config of a model, whichever file holds them: .nemo (tar, gzipped or folder), checkpoints of a
// run, files of torch.save, .safetensors; told apart by content. Neither torch nor the model's plugin is needed.
// Thread-safe: no shared state.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/archive/nemo_archive.h"
#include "core/archive/pickle_value.h"
#include "core/config/node.h"

namespace fathom::model_files {

using NamedTensor = std::pair<std::string, checkpoint::PickleTensor>;

struct StoredModel {
  std::string path;
  std::vector<NamedTensor> state;                  // the state_dict, in the file's order; views into the mapped file
  checkpoint::PickleValue metadata;                // the state_dict's `_metadata`; None where there is none
  std::vector<std::string> left_out;               // entries of the state_dict that are no tensors
  std::optional<config::Node> config;              // the model's section as written, interpolations kept
  std::optional<checkpoint::NemoArchive> archive;  // of a .nemo: its other files
};

// Error(kNoInput), or Error(kBadData) for a file that holds no state_dict.
StoredModel read_stored_model(const std::string& path);

// The model's section of a config: NeMo's archives may wrap it as `model`, hyper_parameters as `cfg`.
config::Node model_section(config::Node config);

// The tensor's elements one after the other: a view into its storage, or `scratch` where the tensor is strided.
// Error(kBadData) naming `name` when it reaches beyond its storage.
std::string_view dense_bytes(const checkpoint::PickleTensor& tensor, const std::string& name, std::string& scratch);

}  // namespace fathom::model_files
