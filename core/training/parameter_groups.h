// How a model's parameters are divided among an optimizer's groups: NeMo's optim_param_groups, and groups without
// weight decay.
#pragma once

#include <vector>

#include "core/training/parameters.h"
#include "fathom/options.h"

namespace fathom::training {

struct ParameterGroup {
  NamedTensors members;
  Json options = Json::object();  // override the optimizer's own
};

// `param_groups` = model.optim_param_groups, {module name: {options}}: one group each, after a first one of all
// parameters that belong to none. `no_decay` = model.optim.no_decay: the parameters that one of these patterns names
// leave their group for one of their own with weight_decay 0, right after it. Patterns: "bias" (the last part of a
// name), "norm" (parameters of normalization modules, whatever they are called), or a shell pattern over whole names,
// such as "encoder.*.scale". Null = none. Groups without members are left out.
//
// `modules`: only parameters of the modules at these paths; empty: all.
//
// Throws Error(kFailed) for a module that is not there or has no parameters, for a pattern over names that names none,
// and for a no_decay that is no text or list of texts.
std::vector<ParameterGroup> parameter_groups(const torch::nn::Module& model, const Json& param_groups,
                                             const std::string& param_groups_path, const Json& no_decay,
                                             const std::string& no_decay_path,
                                             const std::vector<std::string>& modules = {});

}  // namespace fathom::training
