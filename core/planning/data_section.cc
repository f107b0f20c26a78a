#include "core/planning/data_section.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "core/planning/loader_options.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"

namespace fathom {
namespace {

// Keys of a loader that PyTorch's has and that change nothing here, and NeMo's name of a data set.
constexpr std::array kWithoutEffect = {"pin_memory", "persistent_workers", "name"};

bool is_target(const Json& section) {
  return section.is_object() && section.contains("_target_") && section["_target_"].is_string();
}

void refuse_key(const std::string& key, const std::string& path, const std::vector<std::string>& known) {
  throw Error(Code::kFailed, "unknown key '" + key + "'")
      .at(path + "." + key)
      .expected("a key of the dataset or of the loader: " + join(known, ", "))
      .candidates(nearest_names(key, known));
}

bool is_loader_key(const std::string& key) {
  const auto& keys = LoaderOptions::keys();
  return std::find(keys.begin(), keys.end(), key) != keys.end() ||
         std::find(kWithoutEffect.begin(), kWithoutEffect.end(), key) != kWithoutEffect.end();
}

bool has_option(const Json& dataset, const std::string& path, const std::string& option) {
  const auto found = plugins::registry().find(plugins::kind_bit(FATHOM_KIND_DATASET),
                                              dataset["_target_"].get<std::string>(), path + "._target_");
  const Json options = found.component->schema.value("options", Json::array());
  return std::any_of(options.begin(), options.end(), [&](const Json& one) { return one["name"] == option; });
}

DataSection nested(const Json& section, const std::string& path) {
  DataSection out{true, section["dataset"], path + ".dataset", section.value("dataloader_params", Json::object()),
                  path + ".dataloader_params"};
  for (const auto& [key, value] : section.items()) {
    // NeMo's datasets that plan their batches are told how beside them.
    if (key == "batch_sampler" && has_option(out.dataset, out.dataset_path, key))
      out.dataset[key] = value;
    else if (key != "dataset" && key != "dataloader_params" && key != "name")
      refuse_key(key, path, {"dataset", "dataloader_params"});
  }
  if (!out.loader.is_object())
    throw Error(Code::kFailed, "is no map")
        .at(out.loader_path)
        .seen(json_text(out.loader))
        .expected("the loader's keys");
  for (const auto& [key, value] : out.loader.items()) {
    if (!is_loader_key(key)) refuse_key(key, out.loader_path, LoaderOptions::keys());
  }
  return out;
}

}  // namespace

DataSection read_data_section(const Json& section, const std::string& path) {
  if (section.contains("dataset") && is_target(section["dataset"])) return nested(section, path);
  if (!is_target(section)) return {false, {}, {}, section, path};
  const auto found = plugins::registry().find(plugins::kind_bit(FATHOM_KIND_DATASET),
                                              section["_target_"].get<std::string>(), path + "._target_");
  std::vector<std::string> options;
  for (const auto& option : found.component->schema.value("options", Json::array()))
    options.push_back(option["name"].get<std::string>());
  const bool extra = found.component->schema.value("extra", false);
  DataSection out{true, Json::object(), path, Json::object(), path};
  for (const auto& [key, value] : section.items()) {
    const bool own = key == "_target_" || std::find(options.begin(), options.end(), key) != options.end();
    const bool loader = is_loader_key(key);
    if (own || (extra && !loader)) out.dataset[key] = value;
    if (loader) out.loader[key] = value;  // a key of both, such as batch_size, is for both
    if (own || extra || loader) continue;
    std::vector<std::string> known = options;
    known.insert(known.end(), LoaderOptions::keys().begin(), LoaderOptions::keys().end());
    refuse_key(key, path, known);
  }
  return out;
}

}  // namespace fathom
