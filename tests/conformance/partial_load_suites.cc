// Loading a part of a state_dict: recorded choices of names.
#include <torch/nn/module.h>

#include <algorithm>

#include "core/training/parameters.h"
#include "fathom/error.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;

// A tree with a parameter of 2x2 for each dotted name, all zeros.
void add_parameter(torch::nn::Module& module, const std::string& name) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos) {
    module.register_parameter(name, at::zeros({2, 2}));
    return;
  }
  const std::string child = name.substr(0, dot);
  const auto children = module.named_children();
  auto next =
      children.contains(child) ? children[child] : module.register_module(child, std::make_shared<torch::nn::Module>());
  add_parameter(*next, name.substr(dot + 1));
}

Outcome run_partial_load(const Case& c) {
  torch::nn::Module model;
  training::NamedTensors file;
  const auto put = [&](const std::string& name) {
    const json& shapes = c.body["checkpoint_shapes"];
    file.emplace_back(
        name, at::ones(shapes.contains(name) ? shapes[name].get<std::vector<int64_t>>() : std::vector<int64_t>{2, 2}));
  };
  const auto missing = c.body["checkpoint_missing"].get<std::vector<std::string>>();
  for (const auto& name : c.body["model_keys"].get<std::vector<std::string>>()) {
    add_parameter(model, name);
    if (std::find(missing.begin(), missing.end(), name) == missing.end()) put(name);
  }
  for (const auto& name : c.body["checkpoint_extra"].get<std::vector<std::string>>()) put(name);

  const json& expect = c.body["expect"];
  bool failed = false;
  std::string message;
  try {
    training::load_part_of_state_dict(model, file, c.body["include"], c.body["exclude"], "recorded");
  } catch (const Error& error) {
    failed = true;
    message = error.what();
  }
  if (failed != (expect["status"] == "error"))
    return fail("expected " + json_text(expect["status"]) + ", got: " + message);
  if (failed) return pass();
  std::vector<std::string> loaded;
  for (const auto& [name, tensor] : training::state_dict(model)) {
    if (tensor.eq(1).all().item<bool>()) loaded.push_back(name);
  }
  auto wanted = expect["loaded"].get<std::vector<std::string>>();
  std::sort(wanted.begin(), wanted.end());
  std::sort(loaded.begin(), loaded.end());
  return loaded == wanted ? pass() : fail("expected " + json_text(json(wanted)) + ", got " + json_text(json(loaded)));
}

}  // namespace

void add_partial_load_suites(std::vector<Suite>& suites) {
  suites.push_back({"module_semantics/load_part_of_state_dict", run_partial_load});
}

}  // namespace fathom::conformance
