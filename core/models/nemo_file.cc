#include "core/models/nemo_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <new>
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
#include "core/models/allocation_limit.h"
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

// The same error as one of the file: who runs the program has not written it.
Error of_file(const Error& error, const std::string& place) {
  const std::string& where = error.where();
  return Error(Code::kBadData, error.message())
      .at(where.starts_with(place) ? where
          : where.empty()          ? place
                                   : place + ": " + where)
      .seen(error.seen())
      .expected(error.expected())
      .candidates(error.candidates())
      .next(error.next());
}

// The model's section, resolved.
Json section_of_text(const std::string& text, const std::string& place) {
  try {
    config::LoadOptions options;
    options.max_alias_nodes = 100'000;  // a stranger's: less than a run's own config may have
    config::Node tree = config::load_yaml_text(text, place, options);
    config::resolve(tree);
    // NeMo's archives may wrap it; an experiment's config does.
    const config::Node* wrapped = tree.is_map() ? tree.find("model") : nullptr;
    config::Node section = wrapped != nullptr && wrapped->is_map() ? *wrapped : tree;
    for (const auto& note : config::upgrade_model_config(section, "model")) log_info("restore", "{}", note);
    return config::to_json(section);
  } catch (const config::ConfigError& error) {
    throw of_file(error, place);
  }
}

// --- how large a model may be ---------------------------------------------------------------------------------------

// What modules make beside their weights: tables of positions, filters of the front end, the draws of an
// initialisation.
constexpr uint64_t kBesideWeights = 64 << 20, kBesideWeightsAndChanges = uint64_t{1} << 30;
constexpr uint64_t kTimesTheWeights = 3, kPerTensor = 2 * AllocationLimit::kLeastCharge;
constexpr uint64_t kBytesOfFloat = 4;  // weights in half precision go into a model in full

bool is_of_the_run(const std::string& key) {
  return key.ends_with("_ds") || key == "optim" || key == "optim_param_groups" || key == "sched";
}

// Whether what is merged into a file's config may make another model of it, not only train it otherwise.
bool changes_model(const Json& overrides) {
  if (!overrides.is_object()) return false;
  for (const auto& [key, value] : overrides.items()) {
    if (!is_of_the_run(key)) return true;
  }
  return false;
}

// Bytes that the tensors of a model with these weights may take.
uint64_t allowed_bytes(const checkpoint::NamedTensors& weights, uint64_t file_bytes, bool changed) {
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : weights) {
    const auto count = static_cast<uint64_t>(tensor.numel());
    const uint64_t item = std::max<uint64_t>(kBytesOfFloat, tensor.element_size());
    bytes += std::min(count, file_bytes) * item;
    bytes = std::min(bytes, kBytesOfFloat * file_bytes);  // views may repeat the same bytes without an end
  }
  return kTimesTheWeights * bytes + kPerTensor * weights.size() + (changed ? kBesideWeightsAndChanges : kBesideWeights);
}

void find_numbers(const Json& value, const std::string& key, std::vector<std::pair<int64_t, std::string>>& out) {
  if (value.is_number_integer()) out.emplace_back(value.get<int64_t>(), key);
  if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) find_numbers(value[i], key + "[" + std::to_string(i) + "]", out);
  } else if (value.is_object()) {
    for (const auto& [name, item] : value.items()) {
      if (!key.empty() || !is_of_the_run(name)) find_numbers(item, key.empty() ? name : key + "." + name, out);
    }
  }
}

// The largest whole numbers of the section at `where` ("encoder.jasper[0]"), or of all: one of them asks for too much.
std::string largest_numbers(const Json& config, const std::string& where) {
  std::vector<std::pair<int64_t, std::string>> numbers, here;
  find_numbers(config, "", numbers);
  for (const auto& number : numbers) {
    if (!where.empty() && number.second.starts_with(where)) here.push_back(number);
  }
  if (here.empty()) here = std::move(numbers);
  std::sort(here.rbegin(), here.rend());
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(here.size(), 3); ++i)
    text += (i == 0 ? "" : ", ") + here[i].second + ": " + std::to_string(here[i].first);
  return text;
}

// Before anything is read: a class that no plugin here has.
void check_class(const std::string& name, const std::string& place) {
  constexpr uint32_t kModels = 1u << FATHOM_KIND_MODEL;
  if (plugins::registry().contains(kModels, name)) return;
  try {
    plugins::registry().find(kModels, name, place);
  } catch (const Error& error) {
    std::string known;
    for (const auto& plugin : plugins::registry().plugins()) {
      for (const auto& one : plugin.info.provides) {
        if (one.kind == FATHOM_KIND_MODEL)
          known += (known.empty() ? "" : ", ") + one.name + " (" + plugin.info.name + ")";
      }
    }
    if (error.code() == Code::kFailed) {
      throw Error(Code::kUnavailable, error.message())
          .at(place)
          .seen(name)
          .expected(known.empty() ? "a plugin that gives it" : "one of " + known)
          .candidates(error.candidates())
          .next("install the plugin that has this class, or give its folder with --plugin-dir; " + error.next());
    }
    throw;
  }
}

ModelHandle make_model(const Json& section, const Json& context, const checkpoint::NamedTensors& weights,
                       uint64_t file_bytes, bool changed, const std::string& path) {
  const std::string place = path + ":" + std::string(checkpoint::kNemoConfig);
  const AllocationLimit limit(allowed_bytes(weights, file_bytes, changed));
  try {
    return ModelHandle(create_object(1u << FATHOM_KIND_MODEL, section, "", context));
  } catch (const Error& error) {
    if (!limit.was_reached()) {
      if (changed || error.code() != Code::kFailed) throw;
      throw of_file(error, place);
    }
    int64_t count = 0;
    for (const auto& [name, tensor] : weights) count += tensor.numel();
    throw Error(Code::kBadData, "the config asks for a model that is far larger than the weights beside it")
        .at(place + (error.where().empty() ? "" : ": " + error.where()))
        .seen(largest_numbers(section, error.where()))
        .expected("a model of about " + std::to_string(count) + " weights in " + std::to_string(weights.size()) +
                  " tensors, as in " + std::string(checkpoint::kNemoWeights))
        .next(changed ? "give the whole model in the config, with model._target_, and take the weights with "
                        "init_from_nemo_model"
                      : "the file is damaged, or made to do harm: take another copy of it");
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
  // Of a restored model it stays: its weights go with the conventions of that version.
  if (!config.contains("nemo_version")) config["nemo_version"] = model_files::kNemoVersion;

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

Json read_nemo_config(const std::string& path) { return section_of_archive(checkpoint::NemoArchive::open(path), path); }

RestoredModel restore_nemo(const std::string& path, const RestoreOptions& options) try {
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
  check_class(section["_target_"], path + ":" + std::string(checkpoint::kNemoConfig));
  const auto& file = archive.at(checkpoint::kNemoWeights);
  checkpoint::NamedTensors weights = checkpoint::state_dict_tensors(
      checkpoint::map_torch_bytes(file.bytes, file.owner, path + ":" + std::string(checkpoint::kNemoWeights)));
  const bool changed =
      options.override_config.is_object() || !options.override_config_path.empty() || changes_model(options.overrides);
  restored.model = make_model(section, context, weights, file.bytes.size(), changed, path);
  training::load_state_dict(*restored.model.torch_module(), std::move(weights), options.strict, path);
  restored.model.torch_module()->eval();
  return restored;
} catch (const std::bad_alloc&) {
  throw Error(Code::kBadData, "restoring the model takes more memory than there is")
      .at(path)
      .next("the file is damaged or made to do harm; if it is neither, give the program more memory");
}

}  // namespace fathom
