#include "core/models/init_from.h"

#include <torch/nn/module.h>

#include "core/archive/nemo_archive.h"
#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "core/model_files/pretrained.h"
#include "core/training/parameters.h"
#include "fathom/options.h"

namespace fathom {
namespace {

struct PartOptions {
  std::string path, name;
  std::vector<std::string> include = {""}, exclude;
  static void describe(OptionSet<PartOptions>& o) {
    o("path", &PartOptions::path, "the file");
    o("name", &PartOptions::name, "of init_from_pretrained_model: the model's name");
    o("include", &PartOptions::include, "names holding any of these texts are loaded");
    o("exclude", &PartOptions::exclude, "but not those holding any of these");
  }
};

checkpoint::NamedTensors read_nemo(const std::string& path) {
  const auto archive = checkpoint::NemoArchive::open(path);
  const auto& weights = archive.at(checkpoint::kNemoWeights);
  return checkpoint::state_dict_tensors(
      checkpoint::map_torch_bytes(weights.bytes, weights.owner, path + ":" + std::string(checkpoint::kNemoWeights)));
}

checkpoint::NamedTensors read_checkpoint(const std::string& path) {
  const checkpoint::PickleValue file = checkpoint::map_torch_file(path);
  const checkpoint::PickleValue* state = file.find("state_dict");
  if (state == nullptr) {
    throw Error(Code::kBadData, "the file has no state_dict").at(path).expected("a checkpoint of a training run");
  }
  return checkpoint::state_dict_tensors(*state);
}

std::string pretrained(const std::string& name, const std::string& key) {
  return model_files::model_file(name, key, Code::kUnavailable);
}

}  // namespace

void init_weights(torch::nn::Module& module, const Json& config) {
  std::string key;
  for (const char* name : {"init_from_nemo_model", "init_from_ptl_ckpt", "init_from_pretrained_model"}) {
    if (!config.contains(name) || config[name].is_null()) continue;
    if (!key.empty()) {
      throw Error(Code::kFailed, "weights can come from one place only").at(name).seen("also " + key).next("keep one");
    }
    key = name;
  }
  if (key.empty()) return;
  if (config.contains("init_strict")) {
    log_info("restore", "init_strict has no effect: weights are read without building the model they come from");
  }
  const bool by_name = key == "init_from_pretrained_model";
  const auto read = key == "init_from_ptl_ckpt" ? read_checkpoint : read_nemo;
  const Json& given = config[key];
  if (given.is_string()) {
    const std::string path = by_name ? pretrained(given.get<std::string>(), key) : given.get<std::string>();
    training::load_state_dict(module, read(path), /*strict=*/false, path);
    log_info("restore", "{}: weights of {}", key, path);
    return;
  }
  if (!given.is_object()) {
    throw Error(Code::kFailed, "is neither a path nor a map")
        .at(key)
        .seen(json_text(given))
        .expected("FILE, or {NAME: {path: FILE, include: [encoder], exclude: []}}");
  }
  for (const auto& [name, entry] : given.items()) {
    auto part = parse_options<PartOptions>(entry, key + "." + name);
    if (by_name) part.path = pretrained(part.name.empty() ? part.path : part.name, key + "." + name);
    const auto loaded =
        training::load_part_of_state_dict(module, read(part.path), part.include, part.exclude, part.path);
    log_info("restore", "{}.{}: {} tensors of {}", key, name, loaded.size(), part.path);
    if (loaded.empty()) log_warning("restore", "{}.{}: no tensor was chosen by include and exclude", key, name);
  }
}

}  // namespace fathom
