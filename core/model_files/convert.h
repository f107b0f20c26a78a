// Model files written anew in another format, from the weights and the config that a file holds. Every output replaces
// its file in one step; equal input gives equal bytes. Neither torch nor the model's plugin is needed.
//
//   .nemo          NeMo's archive: the input's own config and artifacts, those of `like`, or those of `config`
//   FOLDER/        the same unpacked (save_to with pack_nemo_file=False); here each file is replaced by itself
//   .ckpt          a checkpoint of Lightning with weights only, the config as hyper_parameters.cfg
//   .pt, .pth      the state_dict alone, as model_weights.ckpt of an archive
//   .safetensors   the weights, the config in the metadata
//
// Thread-safe: no shared state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom::model_files {

struct ConvertOptions {
  // A YAML file with the model's config, for inputs that have none: the model's section, or an experiment with a
  // section `model`. Files it names as "nemo:X" are taken from `like`, or from beside the YAML.
  std::string config;
  // A model file whose config and artifacts are taken; the weights must have its names and shapes.
  std::string like;
  // A module: its weights alone ("encoder"), without that prefix. With a .nemo as output, one that is a model itself
  // (register_nemo_submodule): its section of the config and its artifacts alone.
  std::string module;
  std::string config_field;  // where the module's section stands; empty: at the module's name
  bool replace = false;      // an output that is there already
};

struct Converted {
  uint64_t tensors = 0, bytes = 0;  // of the weights
  bool has_config = false;
  std::vector<std::string> artifacts;  // members of the archive beside config and weights
  std::vector<std::string> left_out;   // entries of the input's state_dict that are no tensors
};

// Throws Error: kUsage for an unknown suffix or options that do not fit, kNoInput, kBadData for a damaged input, a
// config without `target`, an artifact that is not there or weights that are not `like`'s; kCantCreate for an output
// that exists.
Converted convert_model_file(const std::string& input, const std::string& output, const ConvertOptions& options = {});

// NeMo's extract_state_dict_from(split_by_module): FIRST_PART.ckpt in `folder` for each first part of the names, with
// the state_dict of what is below it. The files written.
std::vector<std::string> split_by_module(const std::string& input, const std::string& folder, bool replace = false);

}  // namespace fathom::model_files
