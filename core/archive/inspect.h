// What is inside a .nemo archive, a checkpoint or a safetensors file, without building the model, its plugin, or torch.
// The data behind `fathom inspect`. Thread-safe: no shared state.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/archive/pickle_value.h"
#include "fathom/json.h"

namespace fathom::checkpoint {

struct InspectedTensor {
  std::string name;  // state_dict key
  std::vector<int64_t> shape;
  TensorDtype dtype = TensorDtype::kFloat32;
};

struct InspectedArtifact {
  std::string key;     // config key that names it ("tokenizer.vocab"); "" when none does
  std::string member;  // its name in the archive
  uint64_t bytes = 0;
};

// A model within the model (NeMo's register_nemo_submodule): a section of the config with a `target` of its own.
struct InspectedModel {
  std::string key;  // "asr_model"; "a.b" for one within another
  std::string target, nemo_version;
};

struct Inspection {
  // "nemo" (plain tar), "nemo-gz", "nemo-folder", "lightning" (a checkpoint of a training run), "torch" (any other file
  // of torch.save), "torch-legacy" (before torch 1.6), "safetensors"
  std::string format;
  std::string nemo_version, target;  // of the configuration; "" when it has none
  // Numbers of elements of the state_dict's parameters: its floating point tensors without the buffers of normalisation
  // layers, of front-ends and of position tables. A file does not say which parameters are frozen, unless it stores
  // them as torch.nn.Parameter: the others count as trainable.
  int64_t parameters = 0, trainable_parameters = 0;
  std::vector<InspectedTensor> tensors;
  std::vector<InspectedArtifact> artifacts;
  std::vector<InspectedModel> models;
  uint64_t file_bytes = 0, tensor_bytes = 0;  // on disk; of the tensors' elements
  std::string config_text;                    // model_config.yaml as it stands; "" for the other formats
  // The same, or hyper_parameters of a checkpoint, or what `fathom convert` put into a .safetensors; null when there is
  // none.
  nlohmann::ordered_json config;
  // The metadata of a .safetensors, the config aside.
  std::map<std::string, std::string> metadata;
  // Of a training checkpoint.
  std::optional<int64_t> epoch, global_step;
  std::string lightning_version;
};

// What a file is by its first bytes: .nemo archives (tar, gzipped, or a folder), files of torch.save, .safetensors.
enum class FileKind : uint8_t { kNemo, kPickle, kSafetensors };
// Error(kNoInput). What is nothing of these counts as kNemo: reading it says what is wrong.
FileKind kind_of_file(const std::string& path);

// The name under which a .safetensors file keeps the model's config in its metadata (fathom convert).
inline constexpr const char* kConfigInSafetensors = "model_config.yaml";

// `path`: .nemo file or folder, .ckpt, .pt, .safetensors; told apart by content. Error(kNoInput) or Error(kBadData).
Inspection inspect_file(const std::string& path);

// {format, nemo_version, target, parameters, trainable_parameters, tensors: [{name, shape, dtype}],
//  artifacts: [{key, member, bytes}], config, models: [{key, target, nemo_version}], file_bytes, tensor_bytes,
//  metadata?, epoch?, global_step?, pytorch_lightning_version?}
nlohmann::ordered_json to_json(const Inspection& inspection);

// Values as JSON: tuples and sets become lists, bytes hex text, tensors {"tensor", "shape"}, non-finite numbers text.
nlohmann::ordered_json to_json(const PickleValue& value);

// A model_config.yaml as JSON, typed as OmegaConf types it; interpolations and "???" stay text. Error(kBadData) for a
// text that is no YAML.
nlohmann::ordered_json config_to_json(const std::string& text, const std::string& source);

}  // namespace fathom::checkpoint
