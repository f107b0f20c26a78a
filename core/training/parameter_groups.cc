#include "core/training/parameter_groups.h"

#include <fnmatch.h>

#include <algorithm>
#include <unordered_set>

#include "core/base/log.h"

namespace fathom::training {
namespace {

// The parameters of the modules at `paths`, in the model's order.
NamedTensors parameters_of(const torch::nn::Module& model, const std::vector<std::string>& paths,
                           const std::string& where) {
  const NamedTensors all = named_parameters(model);
  if (paths.empty()) return all;
  std::vector<size_t> found(paths.size(), 0);
  NamedTensors out;
  for (const auto& named : all) {
    for (size_t i = 0; i < paths.size(); ++i) {
      if (!named.first.starts_with(paths[i] + ".")) continue;
      ++found[i];
      out.push_back(named);
      break;
    }
  }
  for (size_t i = 0; i < paths.size(); ++i) {
    if (found[i] > 0) continue;
    std::vector<std::string> children;
    for (const auto& child : model.named_children()) children.push_back(child.key());
    throw Error(Code::kFailed,
                "an optimizer is given a module that is not there, has no parameters, or was given twice")
        .at(where)
        .seen(paths[i])
        .candidates(children);
  }
  return out;
}

std::vector<ParameterGroup> by_module(const torch::nn::Module& model, const Json& sections, const std::string& path,
                                      const std::vector<std::string>& modules) {
  std::vector<ParameterGroup> groups(1);
  std::vector<std::string> prefixes;
  if (sections.is_object()) {
    for (const auto& [name, options] : sections.items()) {
      prefixes.push_back(name + ".");
      groups.push_back({{}, options.is_null() ? Json::object() : options});
    }
  }
  for (const auto& [name, parameter] : parameters_of(model, modules, path)) {
    size_t target = 0;
    for (size_t i = 0; i < prefixes.size(); ++i) {
      if (name.starts_with(prefixes[i])) target = i + 1;
    }
    groups[target].members.emplace_back(name, parameter);
  }
  for (size_t i = 0; i < prefixes.size(); ++i) {
    if (!groups[i + 1].members.empty()) continue;
    std::vector<std::string> children;
    const auto named = model.named_children();
    for (const auto& child : named) children.push_back(child.key());
    throw Error(Code::kFailed, prefixes[i].substr(0, prefixes[i].size() - 1) + " not found in model.")
        .at(path)
        .expected("a module with parameters")
        .candidates(children);
  }
  return groups;
}

std::vector<std::string> read_patterns(const Json& given, const std::string& path) {
  if (given.is_null()) return {};
  if (given.is_string()) return {given.get<std::string>()};
  const auto is_text = [](const Json& item) { return item.is_string(); };
  if (!given.is_array() || !std::all_of(given.begin(), given.end(), is_text)) {
    throw Error(Code::kFailed, "is no list of patterns")
        .at(path)
        .seen(json_text(given))
        .expected("bias, norm, or patterns over parameter names: [bias, norm, \"encoder.*.scale\"]");
  }
  return given.get<std::vector<std::string>>();
}

// The parameters that a normalization module owns itself: BatchNorm, LayerNorm, GroupNorm, RMSNorm, …
std::unordered_set<const void*> norm_parameters(const torch::nn::Module& model) {
  std::unordered_set<const void*> found;
  const auto look = [&](const torch::nn::Module& module) {
    if (module.name().find("Norm") == std::string::npos) return;
    const auto own = module.parameters(/*recurse=*/false);
    for (const auto& parameter : own) found.insert(parameter.unsafeGetTensorImpl());
  };
  look(model);
  const auto below = model.modules(/*include_self=*/false);
  for (const auto& module : below) look(*module);
  return found;
}

// The names that patterns pick; one that picks nothing is most likely misspelt.
std::unordered_set<std::string> undecayed(const torch::nn::Module& model, const std::vector<std::string>& patterns,
                                          const std::string& path) {
  std::unordered_set<std::string> names;
  const NamedTensors all = named_parameters(model);
  const auto norms = norm_parameters(model);
  for (const std::string& pattern : patterns) {
    size_t found = 0;
    for (const auto& [name, parameter] : all) {
      const bool picked = pattern == "bias"   ? name.substr(name.rfind('.') + 1) == "bias"
                          : pattern == "norm" ? norms.contains(parameter.unsafeGetTensorImpl())
                                              : ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
      if (!picked) continue;
      ++found;
      names.insert(name);
    }
    if (found > 0) continue;
    if (pattern == "bias" || pattern == "norm") {
      log_warning("trainer", "{}: the model has no parameters of the kind '{}'", path, pattern);
      continue;
    }
    std::vector<std::string> some;
    for (size_t i = 0; i < std::min<size_t>(all.size(), 8); ++i) some.push_back(all[i].first);
    throw Error(Code::kFailed, "no parameter has such a name")
        .at(path)
        .seen(pattern)
        .expected("bias, norm, or a pattern over names such as these")
        .candidates(some);
  }
  return names;
}

}  // namespace

std::vector<ParameterGroup> parameter_groups(const torch::nn::Module& model, const Json& param_groups,
                                             const std::string& param_groups_path, const Json& no_decay,
                                             const std::string& no_decay_path,
                                             const std::vector<std::string>& modules) {
  const auto exempt = undecayed(model, read_patterns(no_decay, no_decay_path), no_decay_path);
  std::vector<ParameterGroup> out;
  for (ParameterGroup& group : by_module(model, param_groups, param_groups_path, modules)) {
    ParameterGroup decayed{{}, group.options}, rest{{}, group.options};
    rest.options["weight_decay"] = 0.0;
    for (auto& member : group.members) (exempt.contains(member.first) ? rest : decayed).members.push_back(member);
    for (ParameterGroup* part : {&decayed, &rest}) {
      if (!part->members.empty()) out.push_back(std::move(*part));
    }
  }
  if (out.empty()) out.emplace_back();  // a model without parameters has one empty group, as in PyTorch's state
  return out;
}

}  // namespace fathom::training
