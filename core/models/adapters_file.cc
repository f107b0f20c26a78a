#include "core/models/adapters_file.h"

#include <torch/nn/module.h>

#include "core/archive/json_pickle.h"
#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "core/training/freezing.h"
#include "core/training/parameters.h"
#include "fathom/adapter.h"

namespace fathom {
namespace {

using checkpoint::NamedTensors;
using checkpoint::PickleValue;

constexpr const char* kConfig = "__cfg__";

// The tensors of adapter `name`, one list a module that has it, in the model's order: ("module.0.weight", tensor)….
std::vector<std::pair<std::string, NamedTensors>> tensors_of(const torch::nn::Module& model, const std::string& name) {
  const std::string marker = std::string(AdapterModuleMixin::kLayer) + "." + name + ".";
  std::vector<std::pair<std::string, NamedTensors>> out;
  for (const auto& [full, tensor] : training::state_dict(model)) {
    const size_t at = full.find(marker);
    if (at == std::string::npos || (at > 0 && full[at - 1] != '.')) continue;
    const std::string module = full.substr(0, at);
    if (out.empty() || out.back().first != module) out.push_back({module, {}});
    out.back().second.emplace_back(full.substr(at + marker.size()), tensor);
  }
  return out;
}

// The section's adapters by name as given ("one", "encoder:one").
std::vector<std::string> names_in(const Json& section) {
  std::vector<std::string> names;
  for (const auto& [name, config] : section.items()) {
    if (name != AdapterModuleMixin::kGlobalConfigKey) names.push_back(name);
  }
  return names;
}

PickleValue open_adapters(const std::string& path) {
  PickleValue file = checkpoint::load_torch_file(path);
  if (!file.is_dict() || file.find(kConfig) == nullptr) {
    throw Error(Code::kBadData, "the file holds no adapters")
        .at(path)
        .expected("a dict with '__cfg__', as save_adapters writes it");
  }
  return file;
}

}  // namespace

void save_adapters(const torch::nn::Module& model, const Json& section, const std::string& path) {
  PickleValue file = PickleValue::dict();
  for (const std::string& given : names_in(section)) {
    const std::string name = AdapterName::parse(given).name;
    checkpoint::PickleValue states = PickleValue::list();
    for (auto& [module, tensors] : tensors_of(model, name)) {
      NamedTensors named;
      for (auto& [key, tensor] : tensors) named.emplace_back(name + "." + key, tensor);
      states.mutable_items().push_back(checkpoint::state_dict_value(named));
    }
    file.mutable_dict().set(given, std::move(states));
  }
  file.mutable_dict().set(kConfig, checkpoint::json_to_pickle(section));
  checkpoint::save_torch_file(path, file);
}

Json read_adapters_section(const std::string& path) {
  const Json section = checkpoint::pickle_to_json(*open_adapters(path).find(kConfig));
  if (!section.is_object()) {
    throw Error(Code::kBadData, "the adapters' config is no map").at(path).seen(json_text(section));
  }
  return section;
}

void load_adapters(const torch::nn::Module& model, const std::string& path) {
  const PickleValue file = open_adapters(path);
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;  // into, from
  for (const std::string& given : names_in(read_adapters_section(path))) {
    const PickleValue* states = file.find(given);
    if (states == nullptr || !states->is_sequence()) {
      throw Error(Code::kBadData, "the file has no weights of adapter '" + given + "'").at(path);
    }
    const std::string name = AdapterName::parse(given).name;
    const auto modules = tensors_of(model, name);
    if (modules.size() != states->items().size()) {
      throw Error(Code::kBadData, "adapter '" + given + "' is of another model")
          .at(path)
          .seen("weights for " + std::to_string(states->items().size()) + " modules")
          .expected(std::to_string(modules.size()) + " modules");
    }
    for (size_t i = 0; i < modules.size(); ++i) {
      const auto& [module, tensors] = modules[i];
      const NamedTensors saved = checkpoint::state_dict_tensors(states->items()[i]);
      const auto refuse = [&](const std::string& what, const std::string& key) {
        throw Error(Code::kBadData, what).at(path).seen(module + std::string(AdapterModuleMixin::kLayer) + "." + key);
      };
      if (saved.size() != tensors.size()) refuse("adapter '" + given + "' has another number of tensors", name);
      for (const auto& [key, from] : saved) {
        const at::Tensor* into = nullptr;
        for (const auto& [own, tensor] : tensors) {
          if (key == name + "." + own) into = &tensor;
        }
        if (into == nullptr) refuse("the model has no such tensor of adapter '" + given + "'", key);
        if (into->sizes() != from.sizes()) refuse("a tensor of adapter '" + given + "' has another shape", key);
        copies.emplace_back(*into, from);
      }
    }
  }
  const at::NoGradGuard no_grad;
  for (auto& [into, from] : copies) into.copy_(from);
  log_info("restore", "adapters of {}", path);
}

void train_adapters_only(const ModelHandle& handle) {
  torch::nn::Module& model = *handle.torch_module();
  training::freeze(model);
  freeze_batch_norms(model);
  for (const auto& [name, object] : handle.children(1u << FATHOM_KIND_MODULE)) {
    if (const AdaptersHandle adapters(object); adapters) adapters.unfreeze_enabled();
  }
  const int64_t trained = training::num_weights(model);
  if (trained == 0) {
    throw Error(Code::kFailed, "there is no enabled adapter to train")
        .at("model.adapters.global_cfg.train_only")
        .next("add one to model.adapters, or remove train_only");
  }
  log_info("adapters", "training the adapters only: {} of {} parameters", trained, training::count_parameters(model));
}

}  // namespace fathom
