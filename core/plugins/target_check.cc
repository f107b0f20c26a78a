#include "core/plugins/target_check.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/plugins/kind.h"
#include "core/plugins/registry.h"

namespace fathom::plugins {
namespace {

std::vector<std::string_view> parts_of(std::string_view target) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= target.size();) {
    const size_t dot = std::min(target.find('.', begin), target.size());
    parts.push_back(target.substr(begin, dot - begin));
    begin = dot + 1;
  }
  return parts;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_identifier(std::string_view part) {
  return !part.empty() && is_letter(part[0]) &&
         std::all_of(part.begin(), part.end(), [](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}
bool names_class(std::string_view part) {
  const size_t first = part.find_first_not_of('_');
  return first != std::string_view::npos && part[first] >= 'A' && part[first] <= 'Z';
}

template <size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Names of modules that a Python file imports: reached through another package they are still themselves.
constexpr std::array<std::string_view, 22> kForeign = {
    "os",        "sys",     "shutil",  "subprocess", "builtins", "importlib",      "inspect", "copy",
    "functools", "pathlib", "pickle",  "tempfile",   "tarfile",  "traceback",      "torch",   "hydra",
    "omegaconf", "numpy",   "logging", "json",       "hashlib",  "huggingface_hub"};

// Classes of nemo.core.classes that are modules, models or datasets.
constexpr std::array<std::string_view, 5> kCoreClasses = {"ModelPT", "NeuralModule", "Loss", "Dataset",
                                                          "IterableDataset"};
constexpr std::array<std::string_view, 5> kFactories = {
    "nemo.collections.common.tokenizers.", "nemo.collections.common.parts.", "nemo.collections.asr.modules.",
    "nemo.collections.asr.parts.", "nemo.collections.audio.parts."};
constexpr std::array<std::string_view, 6> kDatasets = {"Dataset",       "IterableDataset", "TensorDataset",
                                                       "ConcatDataset", "ChainDataset",    "Subset"};

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

}  // namespace

bool is_target_allowed(std::string_view target) {
  const auto parts = parts_of(target);
  if (parts.size() < 3 && !starts_with(target, "torchmetrics.")) return false;
  if (!std::all_of(parts.begin(), parts.end(), is_identifier)) return false;
  const std::string_view last = parts.back();
  for (size_t i = 1; i + 1 < parts.size(); ++i) {
    if (is_one_of(parts[i], kForeign)) return false;
  }
  // Functions only where NeMo keeps factories of components.
  for (const std::string_view room : kFactories) {
    if (starts_with(target, room)) return true;
  }
  if (!names_class(last)) return false;

  if (starts_with(target, "nemo.collections.")) return true;
  if (starts_with(target, "nemo.core.classes.mixins.adapter_mixin_strategies.")) return true;
  if (starts_with(target, "nemo.core.classes.")) return is_one_of(last, kCoreClasses);
  if (starts_with(target, "nemo.core.config.") || starts_with(target, "nemo.core.optim.lr_scheduler.")) return true;
  if (starts_with(target, "nemo.utils.")) return last.ends_with("Config") || last.ends_with("Params");
  if (starts_with(target, "torch.nn.")) return parts[2] != "functional" && parts[2] != "init" && last != "Parameter";
  if (starts_with(target, "torch.optim.")) return parts[2] != "lr_scheduler";
  if (starts_with(target, "torch.utils.data.")) return is_one_of(last, kDatasets);
  if (target == "torch.distributed.fsdp.MixedPrecisionPolicy") return true;
  if (starts_with(target, "torchmetrics.")) return true;
  for (const char* room : {"callbacks.", "loggers.", "strategies.", "accelerators."}) {
    if (starts_with(target, std::string("lightning.pytorch.") + room)) return true;
  }
  return false;
}

void check_targets(const Json& config, const std::string& path) {
  if (config.is_array()) {
    for (size_t i = 0; i < config.size(); ++i) check_targets(config[i], path + "[" + std::to_string(i) + "]");
    return;
  }
  if (!config.is_object()) return;
  if (const auto target = config.find("_target_"); target != config.end()) {
    const std::string where = path.empty() ? "_target_" : path + "._target_";
    if (!target->is_string()) {
      throw Error(Code::kBadData, "AttributeError: a _target_ that is no text")
          .at(where)
          .seen(json_text(*target))
          .expected("the name of a component");
    }
    const std::string name = target->get<std::string>();
    if (!is_target_allowed(name) && (name.empty() || !registry().contains(kAllKinds, name))) {
      throw Error(Code::kBadData,
                  "UnsafeTargetError: Instantiation of unsafe target '" + name +
                      "' is blocked: it is no class of an approved namespace and no installed component")
          .at(where)
          .seen(name)
          .expected("a module, model, dataset, optimizer, metric, callback or logger")
          .next("do not trust the file this config came with; if the name is a plugin's, install the plugin");
    }
  }
  for (const auto& [key, value] : config.items()) check_targets(value, path.empty() ? key : path + "." + key);
}

}  // namespace fathom::plugins
