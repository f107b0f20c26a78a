#include "core/model_files/stored_model.h"

#include "core/archive/inspect.h"
#include "core/archive/pickle_file.h"
#include "core/archive/safetensors.h"
#include "core/config/json.h"
#include "core/config/yaml_loader.h"
#include "fathom/error.h"

namespace fathom::model_files {
namespace {

using checkpoint::NemoArchive;
using checkpoint::PickleFile;
using checkpoint::PickleTensor;
using checkpoint::PickleValue;

// A config as somebody's file holds it: its faults are the file's.
config::Node config_of_text(const std::string& text, const std::string& source) {
  config::LoadOptions options;
  options.check_interpolations = false;  // kept as they stand
  try {
    return config::load_yaml_text(text, source, options);
  } catch (const Error& error) {
    throw Error(Code::kBadData, "the model's config is not readable: " + error.message())
        .at(error.where().empty() ? source : error.where())
        .next("the file is damaged, or was packed by hand: correct its config");
  }
}

void take_state(StoredModel& out, const PickleValue& value) {
  const PickleValue& state = value.plain();
  if (!state.is_dict()) {
    throw Error(Code::kBadData, "the file holds no state_dict")
        .at(out.path)
        .seen("a pickled " + std::string(state.kind_name()))
        .expected("a dict of tensors, or a checkpoint with one as its state_dict");
  }
  for (const auto& [key, item] : state.as_dict()) {
    const std::string name = key.is_string() ? key.as_string() : std::string(key.kind_name());
    if (key.is_string() && item.is_tensor())
      out.state.emplace_back(name, item.as_tensor());
    else
      out.left_out.push_back(name);
  }
  if (out.state.empty() && !out.left_out.empty()) {
    throw Error(Code::kBadData, "the file holds no state_dict: none of its entries is a tensor")
        .at(out.path)
        .next("`fathom inspect --tensors` shows what it holds");
  }
  const PickleValue& attributes = state.as_dict().attributes;
  if (const PickleValue* metadata = attributes.find("_metadata")) out.metadata = *metadata;
}

void read_nemo(StoredModel& out) {
  out.archive = NemoArchive::open(out.path);
  out.config = model_section(config_of_text(out.archive->config_text(), out.path + ":model_config.yaml"));
  const NemoArchive::Member& weights = out.archive->at(checkpoint::kNemoWeights);
  take_state(out, checkpoint::read_pickle_bytes(weights.bytes, weights.owner,
                                                out.path + ":" + std::string(checkpoint::kNemoWeights))
                      .value);
}

void read_pickle(StoredModel& out) {
  checkpoint::PickleFileOptions options;
  options.unknown_globals = checkpoint::PickleOptions::UnknownGlobals::kAsObjects;  // of optimizers and callbacks
  const PickleFile file = checkpoint::read_pickle_file(out.path, options);
  const PickleValue* state = file.value.find("state_dict");
  take_state(out, state != nullptr ? *state : file.value);
  const PickleValue* config = state == nullptr ? nullptr : file.value.find("hyper_parameters");
  if (config == nullptr || !config->plain().is_dict() || config->plain().as_dict().empty()) return;
  out.config = model_section(config::from_json(checkpoint::to_json(*config)));
}

void read_safetensors(StoredModel& out) {
  checkpoint::SafetensorsFile file = checkpoint::read_safetensors(out.path);
  out.state = std::move(file.tensors);
  if (const auto config = file.metadata.find(checkpoint::kConfigInSafetensors); config != file.metadata.end())
    out.config = model_section(config_of_text(config->second, out.path + ":" + checkpoint::kConfigInSafetensors));
}

// Copies the elements below dimension `d` in order.
void gather(const PickleTensor& tensor, size_t d, const char* from, size_t item, std::string& into) {
  if (d == tensor.sizes.size()) {
    into.append(from, item);
    return;
  }
  for (int64_t i = 0; i < tensor.sizes[d]; ++i)
    gather(tensor, d + 1, from + static_cast<size_t>(i * tensor.strides[d]) * item, item, into);
}

}  // namespace

StoredModel read_stored_model(const std::string& path) {
  StoredModel out;
  out.path = path;
  switch (checkpoint::kind_of_file(path)) {
    case checkpoint::FileKind::kNemo: read_nemo(out); break;
    case checkpoint::FileKind::kPickle: read_pickle(out); break;
    case checkpoint::FileKind::kSafetensors: read_safetensors(out); break;
  }
  return out;
}

config::Node model_section(config::Node config) {
  for (const char* wrapper : {"cfg", "model"}) {
    if (!config.is_map() || config.find("target") != nullptr) break;
    if (const config::Node* inner = config.find(wrapper); inner != nullptr && inner->is_map()) {
      config::Node section = *inner;
      config = std::move(section);
    }
  }
  return config;
}

std::string_view dense_bytes(const PickleTensor& tensor, const std::string& name, std::string& scratch) {
  const size_t item = checkpoint::info_of(tensor.dtype).size;
  const int64_t count = tensor.numel();
  if (count == 0) return {};
  uint64_t last = static_cast<uint64_t>(tensor.offset);
  for (size_t d = 0; d < tensor.sizes.size(); ++d)
    last += static_cast<uint64_t>(tensor.sizes[d] - 1) * static_cast<uint64_t>(tensor.strides[d]);
  if (!tensor.storage || (last + 1) * item > tensor.storage->bytes.size())
    throw Error(Code::kBadData, "a tensor reaches beyond what the file stores of it").at(name);
  const char* first = tensor.storage->bytes.data() + static_cast<size_t>(tensor.offset) * item;
  if (tensor.is_contiguous()) return {first, static_cast<size_t>(count) * item};
  // A file may say that one element stands for a billion: what is not there is not unfolded.
  constexpr uint64_t kMostUnfolded = 64;
  if (static_cast<uint64_t>(count) > (kMostUnfolded * tensor.storage->bytes.size() + (1U << 20)) / item) {
    throw Error(Code::kBadData, "a tensor is expanded beyond measure from what is stored of it")
        .at(name)
        .seen(std::to_string(count) + " elements from " + std::to_string(tensor.storage->bytes.size()) + " bytes");
  }
  scratch.clear();
  scratch.reserve(static_cast<size_t>(count) * item);
  gather(tensor, 0, first, item, scratch);
  return scratch;
}

}  // namespace fathom::model_files
