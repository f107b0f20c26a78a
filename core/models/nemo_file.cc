#include "core/models/nemo_file.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "core/archive/nemo_archive.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/json.h"
#include "core/config/printer.h"
#include "core/config/upgrade.h"
#include "core/config/yaml_loader.h"
#include "core/model_files/model_class.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "core/plugins/target_check.h"
#include "core/training/model_wiring.h"
#include "core/training/parameters.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

// NeMo gives each artifact a random prefix, so that two of one name stay apart.
std::string artifact_name(const std::string& path) {
  static std::mt19937_64 generator{std::random_device{}()};
  char hex[33];
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(generator()),
                static_cast<unsigned long long>(generator()));
  return std::string(hex) + "_" + fs::path(path).filename().string();
}

Json& at_path(Json& root, const std::string& dotted) {
  Json* node = &root;
  size_t start = 0;
  while (true) {
    const size_t dot = dotted.find('.', start);
    node = &(*node)[dotted.substr(start, dot - start)];
    if (dot == std::string::npos) return *node;
    start = dot + 1;
  }
}

// Data and optimizer sections are replaced: what is left of another training would not fit.
void merge_json(Json& into, const Json& from) {
  for (const auto& [key, value] : from.items()) {
    if (!key.ends_with("_ds") && key != "optim" && value.is_object() && into.contains(key) && into[key].is_object())
      merge_json(into[key], value);
    else
      into[key] = value;
  }
}

// The model's section, resolved. What is wrong with it is wrong with the file, whose author is not who runs the
// program.
Json section_of_text(const std::string& text, const std::string& place) {
  try {
    config::Node tree = config::load_yaml_text(text, place);
    config::resolve(tree);
    // NeMo's archives may wrap it; an experiment's config does.
    const config::Node* wrapped = tree.is_map() ? tree.find("model") : nullptr;
    config::Node section = wrapped != nullptr && wrapped->is_map() ? *wrapped : tree;
    for (const auto& note : config::upgrade_model_config(section, "model")) log_info("restore", "{}", note);
    return config::to_json(section);
  } catch (const config::ConfigError& error) {
    throw Error(Code::kBadData, error.message())
        .at(error.where().empty() ? place : error.where())
        .seen(error.seen())
        .expected(error.expected())
        .candidates(error.candidates())
        .next(error.next());
  }
}

Json section_of_archive(const checkpoint::NemoArchive& archive, const std::string& path) {
  return section_of_text(archive.config_text(), path + ":model_config.yaml");
}

}  // namespace

void save_nemo(const ModelHandle& model, const std::string& path) {
  Json config = model.config();
  config.erase("_target_");
  config["target"] = model_files::nemo_target(model.name());
  config["nemo_version"] = model_files::kNemoVersion;

  std::vector<checkpoint::NemoMember> artifacts;
  for (const auto& [key, file] : model.artifacts()) {
    std::string name = fs::path(file).filename();
    const Json& value = at_path(config, key);
    const bool from_archive = value.is_string() && value.get_ref<const std::string&>().starts_with("nemo:");
    if (!from_archive) name = artifact_name(file);
    at_path(config, key) = "nemo:" + name;
    artifacts.push_back(checkpoint::NemoMember::of_file(name, file));
  }
  const checkpoint::PickleValue state = checkpoint::state_dict_value(training::state_dict(*model.torch_module()));
  const checkpoint::PickleFileWriter weights(state, "model_weights");
  std::vector<checkpoint::NemoMember> members = {
      checkpoint::NemoMember::of_text(std::string(checkpoint::kNemoConfig), config::to_yaml(config::from_json(config))),
      {std::string(checkpoint::kNemoWeights), weights.size(), [&](FileWriter& file) { weights.write(file); }}};
  for (auto& artifact : artifacts) members.push_back(std::move(artifact));

  checkpoint::write_nemo_archive(path, members);  // in one step, so that a file of that name is whole at any time
}

RestoredModel restore_nemo(const std::string& path, const Json& overrides, bool strict) {
  RestoreOptions options;
  options.overrides = overrides;
  options.strict = strict;
  return restore_nemo(path, options);
}

Json read_nemo_config(const std::string& path) { return section_of_archive(checkpoint::NemoArchive::open(path), path); }

RestoredModel restore_nemo(const std::string& path, const RestoreOptions& options) {
  if (options.map_location != "cpu") {
    throw Error(Code::kUnavailable, "models are restored on the CPU alone")
        .at("map_location")
        .seen(options.map_location)
        .expected("cpu");
  }
  const auto archive = checkpoint::NemoArchive::open(path);
  RestoredModel restored;
  restored.artifacts = std::make_shared<TemporaryFolder>();
  archive.extract_artifacts(restored.artifacts->path());

  if (options.override_config.is_object())
    restored.config = options.override_config;
  else if (!options.override_config_path.empty())
    restored.config = section_of_text(read_file(options.override_config_path), options.override_config_path);
  else
    restored.config = section_of_archive(archive, path);
  if (options.overrides.is_object()) merge_json(restored.config, options.overrides);

  const char* key = restored.config.contains("target")     ? "target"
                    : restored.config.contains("_target_") ? "_target_"
                                                           : nullptr;
  if (key == nullptr || !restored.config[key].is_string()) {
    throw Error(Code::kBadData, "the config does not name the model's class")
        .at(options.override_config_path.empty() ? path : options.override_config_path)
        .expected("a key `target`");
  }
  Json section = restored.config;
  section["_target_"] = restored.config[key];
  const Json context = {{"restoring", true}, {"restore_dir", restored.artifacts->path()}};
  plugins::check_targets(section);
  restored.model = ModelHandle(create_object(1u << FATHOM_KIND_MODEL, section, "", context));

  const auto& weights = archive.at(checkpoint::kNemoWeights);
  const auto state = checkpoint::load_torch_bytes(weights.bytes, path + ":" + std::string(checkpoint::kNemoWeights));
  training::load_state_dict(*restored.model.torch_module(), checkpoint::state_dict_tensors(state), options.strict,
                            path);
  restored.model.torch_module()->eval();
  return restored;
}

}  // namespace fathom
