#include "core/models/init_from.h"

#include <torch/nn/module.h>

#include <cstdlib>
#include <filesystem>

#include "core/archive/nemo_archive.h"
#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "core/training/parameters.h"
#include "fathom/options.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

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

// A model that NeMo has downloaded before, by name: CACHE/NeMo_VERSION/NAME/HASH/NAME.nemo, the newest one.
std::string find_pretrained(const std::string& name, const std::string& key) {
  if (name.ends_with(".nemo")) return name;
  const char* own = std::getenv("NEMO_CACHE_DIR");
  const char* home = std::getenv("HOME");
  const fs::path cache =
      own != nullptr && *own != '\0' ? fs::path(own) : fs::path(home == nullptr ? "." : home) / ".cache/torch/NeMo";
  std::error_code ignored;
  std::string newest;
  fs::file_time_type newest_time;
  for (fs::recursive_directory_iterator it(cache, ignored), end; it != end && !ignored; it.increment(ignored)) {
    if (it->path().filename() != name + ".nemo") continue;
    const auto time = it->last_write_time(ignored);
    if (newest.empty() || time > newest_time) {
      newest = it->path();
      newest_time = time;
    }
  }
  if (!newest.empty()) return newest;
  throw Error(Code::kUnavailable, "there is no pretrained model '" + name + "' on this machine, and none is downloaded")
      .at(key)
      .seen("no " + name + ".nemo below " + cache.string())
      .expected("a model in NeMo's cache ($NEMO_CACHE_DIR), or a .nemo file")
      .next("download it and set init_from_nemo_model=FILE.nemo");
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
    const std::string path = by_name ? find_pretrained(given.get<std::string>(), key) : given.get<std::string>();
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
    if (by_name) part.path = find_pretrained(part.name.empty() ? part.path : part.name, key + "." + name);
    const auto loaded =
        training::load_part_of_state_dict(module, read(part.path), part.include, part.exclude, part.path);
    log_info("restore", "{}.{}: {} tensors of {}", key, name, loaded.size(), part.path);
    if (loaded.empty()) log_warning("restore", "{}.{}: no tensor was chosen by include and exclude", key, name);
  }
}

}  // namespace fathom
