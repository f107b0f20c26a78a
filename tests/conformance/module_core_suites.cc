// The life of modules: accessible tensors, adapters, averaged weights, and which classes a config may name.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>

#include "core/plugins/access_state.h"
#include "core/plugins/registry.h"
#include "core/plugins/target_check.h"
#include "core/training/ema.h"
#include "core/training/freezing.h"
#include "fathom/access.h"
#include "fathom/adapter.h"
#include "fathom/optimizer.h"
#include "tests/conformance/optim_common.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;
using optim::close;
using optim::ordered;

// --- access

class Accessible final : public torch::nn::Module, public AccessMixin {
 public:
  Accessible() : AccessMixin(this) {}
};

// A root with two accessible children and a plain one.
class AccessTree {
 public:
  AccessTree() {
    plugins::reset_access_state();
    root_->register_module("a", a_);
    root_->register_module("b", b_);
    root_->register_module("plain", torch::nn::Linear(1, 1));
  }

  json apply(const json& op) {
    const std::string what = op.at(0);
    const auto text = [&](size_t i) { return op.size() > i && op[i].is_string() ? op[i].get<std::string>() : ""; };
    if (what == "register") {
      at(text(1)).register_accessible_tensor(text(2), at::full({1}, op.at(3).get<double>()).requires_grad_());
    } else if (what == "registry") {
      return {{"registry", registry()}};
    } else if (what == "reset") {
      return reset(at(text(1)), op.size() > 2 ? text(2) : "");
    } else if (what == "enable") {
      AccessMixin::set_access_enabled(op.at(1).get<bool>(), text(2));
    } else if (what == "enabled") {
      return {{"enabled", AccessMixin::is_access_enabled(text(1))}};
    } else if (what == "config") {
      AccessMixin::update_access_config(ordered(op.at(1)), text(2));
    } else if (what == "show_config") {
      return {{"config", json::parse(json_text(plugins::all_access_settings()))}};
    } else if (what == "guid") {
      root_->set_model_guid(text(1));
    } else {
      throw std::runtime_error("unknown operation " + what);
    }
    return json::object();
  }

 private:
  Accessible& at(const std::string& where) { return where == "a" ? *a_ : where == "b" ? *b_ : *root_; }

  json registry() const {
    json out = json::object();
    for (const auto& [path, tensors] : AccessMixin::get_module_registry(*root_)) {
      for (const auto& [name, list] : tensors) {
        for (const at::Tensor& tensor : list) {
          out[path.empty() ? "(root)" : path][name].push_back({tensor.item<double>(), tensor.requires_grad()});
        }
      }
    }
    return out;
  }

  // NeMo's reset_registry(key) removes the key from the module itself, then from it and its children, and so raises
  // KeyError each time, at the module itself. Here forgetting a name is an operation of its own without that trap; this
  // spells NeMo's out.
  static json reset(Accessible& module, const std::string& key) {
    if (key.empty()) {
      AccessMixin::reset_registry(module);
      return json::object();
    }
    const auto known = module.registry();
    const bool had = std::any_of(known.begin(), known.end(), [&](const auto& item) { return item.first == key; });
    AccessMixin::Registry left = known;
    if (had) {
      std::erase_if(left, [&](const auto& item) { return item.first == key; });
      module.forget_here(key);
    }
    std::string names;
    for (const auto& [name, tensors] : left) names += (names.empty() ? "'" : ", '") + name + "'";
    return {{"error", "KeyError"}, {"available", "[" + names + "]"}};
  }

  std::shared_ptr<Accessible> root_ = std::make_shared<Accessible>(), a_ = std::make_shared<Accessible>(),
                              b_ = std::make_shared<Accessible>();
};

Outcome run_access(const Case& c) {
  AccessTree tree;
  for (size_t i = 0; i < c.body.at("ops").size(); ++i) {
    const json got = tree.apply(c.body["ops"][i]), &expected = c.body.at("results").at(i);
    const bool same =
        expected.contains("error")
            ? expected["error"] == got.value("error", "") &&
                  expected["message"].get<std::string>().find(got.value("available", "?")) != std::string::npos
            : got == expected;
    if (!same) return fail(fmt::format("operation {}: expected {}, got {}", i, json_text(expected), json_text(got)));
  }
  return pass();
}

// --- adapters

class AdapterTree final : public torch::nn::Module, public AdapterModuleMixin {
 public:
  AdapterTree() : AdapterModuleMixin(this) { eval(); }
};

// Recorded Python error classes of the operations, by what the same failure is here.
std::string python_class(const std::string& op, const std::string& message) {
  if (op == "add" && message.find("is empty") != std::string::npos) return "KeyError";
  if (op == "add" && message.find("holds a dot") != std::string::npos) return "KeyError";
  if (op == "add" && message.find("has no option") != std::string::npos) return "ConfigKeyError";
  if (op == "add" && message.find(".activation") != std::string::npos) return "KeyError";
  if (op == "add" && message.find(".norm_position") != std::string::npos) return "AssertionError";
  if (op == "set" && message.find("there is no adapter '") != std::string::npos) return "ConfigKeyError";
  if (op == "forward") return "RuntimeError";
  return "ValueError";
}

json apply_adapter(AdapterTree& tree, const json& op) {
  const std::string what = op.at(0);
  if (what == "add") {
    Json config = {{"_target_", "nemo.collections.common.parts.adapter_modules.LinearAdapter"},
                   {"in_features", 4},
                   {"dim", 2},
                   {"activation", "swish"},
                   {"norm_position", "pre"},
                   {"dropout", 0.0},
                   {"adapter_strategy",
                    {{"_target_", "nemo.core.classes.mixins.adapter_mixin_strategies.ResidualAddAdapterStrategy"},
                     {"stochastic_depth", 0.0},
                     {"l2_lambda", 0.0}}}};
    if (op.size() > 2) config.update(ordered(op[2]));
    const std::string name = op.at(1);
    tree.add_adapter(name, config);
    // The recorder looks the adapter up under the name as given to fill its parameters.
    if (AdapterName::parse(name).name != name) return {{"error", "KeyError"}};
    const at::NoGradGuard no_grad;
    const auto adapter = tree.get_adapter_module(name);
    std::vector<std::pair<std::string, at::Tensor>> parameters;
    for (const auto& item : adapter->named_parameters()) parameters.emplace_back(item.key(), item.value());
    std::sort(parameters.begin(), parameters.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (size_t k = 0; k < parameters.size(); ++k) {
      at::Tensor& p = parameters[k].second;
      p.copy_(at::linspace(-0.5, 0.5, p.numel()).mul(static_cast<double>(k + 1)).reshape(p.sizes()));
    }
    adapter->eval();
    return json::object();
  }
  if (what == "available") return {{"available", tree.is_adapter_available()}};
  if (what == "enabled") return {{"enabled", tree.get_enabled_adapters()}};
  if (what == "set") {
    const json& arguments = op.at(1);
    std::optional<std::string> name;
    if (arguments.contains("name")) name = arguments["name"].get<std::string>();
    tree.set_enabled_adapters(name, arguments.at("enabled").get<bool>());
    return json::object();
  }
  if (what == "forward") {
    const at::NoGradGuard no_grad;
    const at::Tensor out = tree.forward_enabled_adapters(at::tensor({1.0F, -2.0F, 0.5F, 3.0F}).unsqueeze(0)).squeeze(0);
    return {{"output", std::vector<float>(out.const_data_ptr<float>(), out.const_data_ptr<float>() + out.numel())}};
  }
  if (what == "keys") {
    json keys = json::array();
    for (const auto& [name, tensor] : training::state_dict(tree)) keys.push_back(name);
    return {{"keys", keys}};
  }
  if (what == "config") {
    json out = json::object();
    const Json configs = tree.adapter_cfg();
    for (const auto& [name, config] : configs.items()) {
      std::vector<std::string> keys;
      for (const auto& [key, value] : config.items()) keys.push_back(key);
      std::sort(keys.begin(), keys.end());
      out[name] = keys;
    }
    return {{"config", out}};
  }
  if (what == "get") {
    const std::string component = tree.adapter_component(op.at(1));
    return {{"module", component.empty() ? json() : json(component.substr(component.rfind('.') + 1))}};
  }
  if (what == "freeze" || what == "unfreeze_adapters") {
    training::freeze(tree);
    if (what == "unfreeze_adapters") {
      freeze_batch_norms(tree);
      tree.unfreeze_enabled_adapters();
      for (const auto& module : tree.modules(/*include_self=*/false)) {
        if (auto* host = dynamic_cast<AdapterTree*>(module.get())) host->unfreeze_enabled_adapters();
      }
    }
    std::vector<std::string> trainable, modes;
    for (const auto& item : tree.named_parameters()) {
      if (item.value().requires_grad()) trainable.push_back(item.key());
    }
    for (const auto& item : tree.named_modules("", false)) {
      if (item.value()->is_training()) modes.push_back(item.key());
    }
    std::sort(trainable.begin(), trainable.end());
    std::sort(modes.begin(), modes.end());
    json out = {{"trainable", trainable}};
    if (what == "unfreeze_adapters") out["training"] = modes;
    return out;
  }
  throw std::runtime_error("unknown operation " + what);
}

Outcome run_adapters(const Case& c) {
  AdapterTree tree;
  for (size_t i = 0; i < c.body.at("ops").size(); ++i) {
    const json& op = c.body["ops"][i];
    const json& expected = c.body.at("results").at(i);
    json got;
    std::string message;
    try {
      got = apply_adapter(tree, op);
    } catch (const Error& error) {
      message = error.what();
      got = {{"error", python_class(op.at(0), message)}};
    } catch (const c10::Error& error) {
      message = error.what_without_backtrace();
      got = {{"error", python_class(op.at(0), message)}};
    }
    bool same = got == expected;
    if (expected.contains("error")) same = expected["error"] == got.value("error", "");
    if (expected.contains("output") && got.contains("output")) {
      same = expected["output"].size() == got["output"].size();
      for (size_t k = 0; same && k < expected["output"].size(); ++k)
        same = close(got["output"][k], expected["output"][k], 1e-6, 1e-6);
    }
    if (!same)
      return fail(fmt::format("operation {} {}: expected {}, got {} {}", i, json_text(op), json_text(expected),
                              json_text(got), message));
  }
  return pass();
}

// --- EMA

std::string differs(const std::vector<at::Tensor>& got, const json& expected) {
  for (size_t t = 0; t < expected.size(); ++t) {
    const at::Tensor flat = got.at(t).detach().to(at::kDouble).reshape({-1});
    for (size_t i = 0; i < expected[t].size(); ++i) {
      const double a = flat[static_cast<int64_t>(i)].item<double>(), b = expected[t][i];
      if (!close(a, b, 1e-6, 1e-6)) return fmt::format("tensor {}, element {}: expected {}, got {}", t, i, b, a);
    }
  }
  return "";
}

std::vector<at::Tensor> copies(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> out;
  for (const at::Tensor& tensor : tensors) out.push_back(tensor.detach().clone());
  return out;
}

Outcome run_ema(const Case& c) {
  const json& b = c.body;
  std::vector<at::Tensor> parameters;
  training::NamedTensors named;
  for (const json& tensor : b.at("initial")) {
    parameters.push_back(at::tensor(tensor.get<std::vector<double>>(), at::kDouble).to(at::kFloat).requires_grad_());
    named.emplace_back(std::to_string(named.size()), parameters.back());
  }
  OptimizerHandle optimizer = make_optimizer({{"name", b.at("optimizer")}, {"lr", b.at("lr").get<double>()}}, "optim");
  optimizer.add_group(named, Json::object());
  training::ExponentialMovingAverage average(b.at("decay").get<double>(), b.at("every_n_steps").get<int64_t>(),
                                             {named});
  std::vector<at::Tensor> before;
  for (size_t step = 0; step < b.at("grads").size(); ++step) {
    for (size_t t = 0; t < parameters.size(); ++t) {
      parameters[t].mutable_grad() =
          at::tensor(b["grads"][step][t].get<std::vector<double>>(), at::kDouble).to(at::kFloat);
    }
    {
      std::vector<at::Tensor> gradients;
      for (const at::Tensor& p : parameters) gradients.push_back(p.grad());
      optimizer.step(gradients);
    }
    before = copies(average.averages(0));
    average.after_step();
    if (const auto error = differs(parameters, b.at("params")[step]); !error.empty())
      return fail(fmt::format("step {}: parameters: {}", step, error));
    // NeMo updates in a thread of its own, first multiplying, then adding: the recording at a step shows each average
    // before, in the middle of or after it. What counts is recorded after the thread has ended: inside_swap.
    for (size_t t = 0; t < parameters.size(); ++t) {
      const json one = json::array({b.at("ema")[step][t]});
      const std::string after = differs({average.averages(0)[t]}, one);
      if (!after.empty() && !differs({before[t]}, one).empty() && !differs({before[t] * average.decay()}, one).empty())
        return fail(fmt::format("step {}: average {}: {}", step, t, after));
    }
  }
  average.swap();
  if (const auto error = differs(parameters, b.at("inside_swap")); !error.empty()) return fail("swapped: " + error);
  average.swap();
  if (const auto error = differs(parameters, b.at("after_swap")); !error.empty()) return fail("swapped back: " + error);
  if (average.current_step(0) != b.at("current_step").get<int64_t>()) return fail("another step count");
  return pass();
}

// --- targets

Outcome run_allowlist(const Case& c) {
  const bool got = plugins::is_target_allowed(c.body.at("target").get<std::string>());
  return got == c.body.at("allowed").get<bool>() ? pass()
                                                 : fail(got ? "expected to be refused" : "expected to be allowed");
}

Outcome run_validation(const Case& c) {
  std::string error;
  try {
    plugins::check_targets(ordered(c.body.at("config")));
  } catch (const Error& problem) {
    error = problem.message();
  }
  if (c.body.at("ok").get<bool>()) return error.empty() ? pass() : fail("expected no error, got " + error);
  const std::string wanted = c.body.at("error");
  return error.starts_with(wanted + ":") ? pass()
                                         : fail("expected " + wanted + ", got " + (error.empty() ? "none" : error));
}

}  // namespace

void add_module_core_suites(std::vector<Suite>& suites) {
  suites.push_back({"neural_module_core/access", run_access});
  suites.push_back({"neural_module_core/adapters", run_adapters});
  suites.push_back({"neural_module_core/ema", run_ema});
  suites.push_back({"neural_module_core/target_allowlist", run_allowlist});
  suites.push_back({"neural_module_core/target_validation", run_validation});
}

}  // namespace fathom::conformance
