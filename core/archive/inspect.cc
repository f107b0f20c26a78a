#include "core/archive/inspect.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <new>
#include <set>
#include <string_view>

#include "core/archive/nemo_archive.h"
#include "core/archive/pickle_file.h"
#include "core/archive/safetensors.h"
#include "core/archive/zip_reader.h"
#include "core/base/json_object.h"
#include "core/config/json.h"
#include "core/config/yaml_loader.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kStrangersAliases = 100'000;  // values that YAML's aliases may make; as Json they take 300 bytes each

// Buffers by the names that PyTorch's and NeMo's modules register them under: normalisation, position tables,
// front-ends, FastPitch's pitch statistics, class weights of losses, spectral normalisation (weight_u and weight_v
// beside weight_orig; weight_v beside weight_g is a parameter of weight normalisation).
bool is_buffer(const std::string& key, const std::set<std::string>& keys) {
  static const std::set<std::string, std::less<>> kNames = {"running_mean", "running_var",    "num_batches_tracked",
                                                            "position_ids", "token_type_ids", "pos_enc",
                                                            "inv_freq",     "window",         "fb",
                                                            "dct_mat",      "mel_basis",      "pitch_mean",
                                                            "pitch_std"};
  const size_t dot = key.rfind('.');
  if (kNames.contains(std::string_view(key).substr(dot == std::string::npos ? 0 : dot + 1))) return true;
  if (key == "loss.weight" || key.ends_with(".loss.weight") || key.ends_with("_loss.weight")) return true;
  if (!key.ends_with("_u") && !key.ends_with("_v")) return false;
  return keys.contains(key.substr(0, key.size() - 1) + "orig");
}

// Views may count the same bytes again and again: up to the largest number.
void add(int64_t& sum, int64_t count) {
  if (__builtin_add_overflow(sum, count, &sum)) sum = std::numeric_limits<int64_t>::max();
}

struct NamedTensor {
  std::string name;
  const PickleTensor* tensor;
};

void add_tensors(Inspection& out, const std::vector<NamedTensor>& tensors) {
  std::set<std::string> names;
  for (const auto& entry : tensors) names.insert(entry.name);
  std::set<std::pair<const void*, int64_t>> seen;
  for (const auto& [name, tensor] : tensors) {
    out.tensors.push_back({name, tensor->sizes, tensor->dtype});
    out.tensor_bytes += static_cast<uint64_t>(tensor->numel()) * info_of(tensor->dtype).size;
    if (!info_of(tensor->dtype).floating || is_buffer(name, names)) continue;
    // Tied weights are one parameter under two names.
    if (tensor->numel() > 0 && !seen.emplace(tensor->storage.get(), tensor->offset).second) continue;
    add(out.parameters, tensor->numel());
    if (!tensor->is_parameter || tensor->requires_grad) add(out.trainable_parameters, tensor->numel());
  }
}

constexpr size_t kMostBytesOfNames = 64 << 20;  // a long key above many tensors stands in each of their names

// Tensors below dicts, and below lists by their index (an adapters file holds a state per module).
void collect(const PickleValue& state, const std::string& prefix, std::vector<NamedTensor>& out, size_t& spent) {
  const auto visit = [&](const std::string& name, const PickleValue& value) {
    spent += name.size();
    if (spent > kMostBytesOfNames) throw Error(Code::kBadData, "the names of the checkpoint's tensors are too long");
    if (value.is_tensor())
      out.push_back({name, &value.as_tensor()});
    else
      collect(value, name + ".", out, spent);
  };
  const PickleValue& plain = state.plain();
  if (plain.is_dict()) {
    for (const auto& [key, value] : plain.as_dict())
      visit(prefix + (key.is_string() ? key.as_string() : json_text(to_json(key))), value);
  } else if (plain.is_sequence()) {
    for (size_t i = 0; i < plain.items().size(); ++i) visit(prefix + std::to_string(i), plain.items()[i]);
  }
}

void add_tensors(Inspection& out, const PickleValue& state) {
  std::vector<NamedTensor> tensors;
  size_t spent = 0;
  collect(state, "", tensors, spent);
  add_tensors(out, tensors);
}

std::string text_at(const Json& config, const char* key) {
  if (!config.is_object()) return {};
  const auto it = config.find(key);
  return it != config.end() && it->is_string() ? it->get<std::string>() : std::string();
}

constexpr size_t kMostModels = 1000, kDeepestModel = 32;

// NeMo's constructor gives every model's section a target and a nemo_version.
void find_models(const Json& section, const std::string& key, size_t depth, std::vector<InspectedModel>& models) {
  if (!section.is_object() || depth > kDeepestModel || models.size() >= kMostModels) return;
  if (!key.empty() && !text_at(section, "target").empty() && section.contains("nemo_version"))
    models.push_back({key, text_at(section, "target"), text_at(section, "nemo_version")});
  for (const auto& [name, value] : section.items())
    find_models(value, key.empty() ? name : key + "." + name, depth + 1, models);
}

void describe_config(Inspection& out) {
  // A model section may be wrapped: NeMo takes `model`, Lightning's hyper_parameters hold `cfg`.
  const Json* section = &out.config;
  for (const char* wrapper : {"cfg", "model"}) {
    if (section->is_object() && text_at(*section, "target").empty() && section->contains(wrapper)) {
      section = &(*section)[wrapper];
    }
  }
  out.nemo_version = text_at(*section, "nemo_version");
  out.target = text_at(*section, "target");
  find_models(*section, "", 0, out.models);
}

void find_artifact_keys(const Json& config, const std::string& key, std::map<std::string, std::string>& keys) {
  if (config.is_string()) {
    const auto& text = config.get_ref<const std::string&>();
    if (text.starts_with("nemo:")) keys.emplace(text.substr(5), key);
  } else if (config.is_structured()) {
    for (const auto& [name, value] : config.items())
      find_artifact_keys(value, key.empty() ? name : key + "." + name, keys);
  }
}

Inspection inspect_nemo(const std::string& path) {
  const NemoArchive archive = NemoArchive::open(path);
  Inspection out;
  out.format = archive.is_folder() ? "nemo-folder" : archive.is_compressed() ? "nemo-gz" : "nemo";
  out.config_text = archive.config_text();
  out.config = config_to_json(out.config_text, path + ":" + std::string(kNemoConfig));
  describe_config(out);
  std::map<std::string, std::string> keys;
  find_artifact_keys(out.config, "", keys);
  for (const auto& member : archive.members()) {
    if (member.name == kNemoConfig) continue;
    if (member.name == kNemoWeights) {
      const PickleFile file = read_pickle_bytes(member.bytes, member.owner, path + ":" + member.name);
      add_tensors(out, file.value);
      continue;
    }
    const auto key = keys.find(member.name);
    out.artifacts.push_back({key == keys.end() ? "" : key->second, member.name, member.bytes.size()});
  }
  return out;
}

Inspection inspect_pickle(const std::string& path) {
  PickleFileOptions options;
  options.unknown_globals = PickleOptions::UnknownGlobals::kAsObjects;
  const PickleFile file = read_pickle_file(path, options);
  Inspection out;
  const PickleValue* state = file.value.find("state_dict");
  const PickleValue* lightning = file.value.find("pytorch-lightning_version");
  if (state != nullptr && lightning != nullptr) {
    out.format = "lightning";
    if (lightning->is_string()) out.lightning_version = lightning->as_string();
  } else {
    out.format = file.container == PickleFile::Container::kLegacy ? "torch-legacy" : "torch";
  }
  auto number = [&](const char* key) -> std::optional<int64_t> {
    const PickleValue* value = file.value.find(key);
    if (value == nullptr || value->kind() != PickleValue::Kind::kInt) return std::nullopt;
    return value->as_int();
  };
  out.epoch = number("epoch");
  out.global_step = number("global_step");
  if (const PickleValue* config = file.value.find("hyper_parameters")) out.config = to_json(*config);
  describe_config(out);
  add_tensors(out, state != nullptr ? *state : file.value);
  return out;
}

Inspection inspect_safetensors(const std::string& path) {
  const SafetensorsFile file = read_safetensors(path);
  Inspection out;
  out.format = "safetensors";
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : file.tensors) tensors.push_back({name, &tensor});
  add_tensors(out, tensors);
  out.metadata = file.metadata;
  if (const auto config = out.metadata.find(kConfigInSafetensors); config != out.metadata.end()) {
    out.config_text = config->second;
    out.config = config_to_json(out.config_text, path + ":" + kConfigInSafetensors);
    describe_config(out);
    out.metadata.erase(config);
  }
  return out;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) out += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return out;
}

}  // namespace

FileKind kind_of_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return FileKind::kNemo;
  const auto file = MappedFile::open(path);
  const std::string_view bytes = file->bytes();
  // A safetensors header: its length, then a JSON object. First, as the length may begin like another format.
  if (bytes.size() > 9 && bytes[8] == '{' && bytes[6] == 0 && bytes[7] == 0) return FileKind::kSafetensors;
  if (ZipReader::looks_like_zip(bytes) || bytes.starts_with("\x80")) return FileKind::kPickle;
  return FileKind::kNemo;
}

Inspection inspect_file(const std::string& path) try {
  const FileKind kind = kind_of_file(path);
  Inspection out = kind == FileKind::kPickle        ? inspect_pickle(path)
                   : kind == FileKind::kSafetensors ? inspect_safetensors(path)
                                                    : inspect_nemo(path);
  std::error_code error;  // of a folder there is no size, but its members'
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (!error) out.file_bytes = bytes;
  return out;
} catch (const std::bad_alloc&) {
  throw Error(Code::kBadData, "reading the file takes more memory than there is")
      .at(path)
      .next("the file is damaged or made to do harm; if it is neither, give the program more memory");
}

Json config_to_json(const std::string& text, const std::string& source) {
  config::LoadOptions options;
  options.check_interpolations = false;  // shown as they stand
  options.max_alias_nodes = kStrangersAliases;
  try {
    return config::to_json(config::load_yaml_text(text, source, options));
  } catch (const Error& error) {
    throw Error(Code::kBadData, "the configuration of the archive is not readable: " + error.message())
        .at(error.where().empty() ? source : error.where())
        .next("the file is damaged, or was packed by hand: correct model_config.yaml");
  }
}

Json to_json(const PickleValue& wrapped) {
  using Kind = PickleValue::Kind;
  const PickleValue& value = wrapped.plain();
  switch (value.kind()) {
    case Kind::kNone: return nullptr;
    case Kind::kBool: return value.as_bool();
    case Kind::kInt: return value.as_int();
    case Kind::kFloat: {
      const double number = value.as_double();
      if (std::isnan(number)) return "nan";
      if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
      return number;
    }
    case Kind::kBigInt:
    case Kind::kString: return value.as_string();
    case Kind::kBytes: return hex(value.as_string());
    case Kind::kDtype: return "torch." + std::string(info_of(value.as_dtype()).name);
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kSet: {
      Json out = Json::array();
      for (const auto& item : value.items()) out.push_back(to_json(item));
      return out;
    }
    case Kind::kDict: {
      JsonObject out;
      for (const auto& [key, item] : value.as_dict())
        out.set(key.is_string() ? key.as_string() : json_text(to_json(key)), to_json(item));
      return out.take();
    }
    case Kind::kTensor: return {{"tensor", info_of(value.as_tensor().dtype).name}, {"shape", value.as_tensor().sizes}};
    case Kind::kObject: return {{"object", value.as_object().full_name()}};
    case Kind::kStorage: return {{"object", "torch.storage"}};
  }
  return nullptr;
}

Json to_json(const Inspection& inspection) {
  Json out;
  out["format"] = inspection.format;
  out["nemo_version"] = inspection.nemo_version;
  out["target"] = inspection.target;
  out["parameters"] = inspection.parameters;
  out["trainable_parameters"] = inspection.trainable_parameters;
  out["tensors"] = Json::array();
  for (const auto& tensor : inspection.tensors) {
    out["tensors"].push_back({{"name", tensor.name}, {"shape", tensor.shape}, {"dtype", info_of(tensor.dtype).name}});
  }
  out["artifacts"] = Json::array();
  for (const auto& artifact : inspection.artifacts) {
    out["artifacts"].push_back({{"key", artifact.key}, {"member", artifact.member}, {"bytes", artifact.bytes}});
  }
  out["config"] = inspection.config;
  out["models"] = Json::array();
  for (const auto& model : inspection.models) {
    out["models"].push_back({{"key", model.key}, {"target", model.target}, {"nemo_version", model.nemo_version}});
  }
  out["file_bytes"] = inspection.file_bytes;
  out["tensor_bytes"] = inspection.tensor_bytes;
  if (!inspection.metadata.empty()) out["metadata"] = inspection.metadata;
  if (inspection.epoch) out["epoch"] = *inspection.epoch;
  if (inspection.global_step) out["global_step"] = *inspection.global_step;
  if (!inspection.lightning_version.empty()) out["pytorch_lightning_version"] = inspection.lightning_version;
  return out;
}

}  // namespace fathom::checkpoint
