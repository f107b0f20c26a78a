// Recorded truth about optimizers, run through the registry and the handle a trainer could use.
//
// Differences that are meant: nadam, radam and asgd, which NeMo's registry does not know, are known here by class path
// only. An error of Python is met by any fathom::Error at the same place.
#include <ATen/ATen.h>

#include <cmath>
#include <fstream>
#include <map>

#include "core/planning/schedule_plan.h"
#include "fathom/optimizer.h"
#include "tests/conformance/optim_common.h"

namespace fathom::conformance {
void add_schedule_suites(std::vector<Suite>& suites);  // schedule_suites.cc

namespace {

using namespace optim;

constexpr uint32_t kOptimizer = 1u << FATHOM_KIND_OPTIMIZER;

// --- optimizers
// ---------------------------------------------------------------------------------------------------------------

std::string optimizer_name(std::string recorded) {
  if (const size_t at = recorded.find("_amsgrad"); at != std::string::npos) recorded = recorded.substr(0, at);
  static const std::map<std::string, std::string> kByPath = {
      {"nadam", "torch.optim.NAdam"}, {"radam", "torch.optim.RAdam"}, {"asgd", "torch.optim.ASGD"}};
  const auto found = kByPath.find(recorded);
  return found == kByPath.end() ? recorded : found->second;
}

at::Tensor tensor_of(const json& flat, at::IntArrayRef shape, at::ScalarType type) {
  std::vector<double> values;
  for (const json& value : flat) values.push_back(number(value).value());
  return at::tensor(values, at::kDouble).to(type).reshape(shape).clone();
}

struct Problem {
  at::ScalarType type;
  std::vector<std::vector<at::Tensor>> parameters;              // [group]
  std::vector<std::vector<std::vector<at::Tensor>>> gradients;  // [step][group]; undefined = none
};

Problem read_problem(const json& body) {
  Problem out;
  out.type = body.at("dtype") == "f64" ? at::kDouble : at::kFloat;
  for (const json& group : body.at("params")) {
    out.parameters.emplace_back();
    for (const json& tensor : group) {
      out.parameters.back().push_back(
          tensor_of(tensor.at("data"), tensor.at("shape").get<std::vector<int64_t>>(), out.type));
    }
  }
  for (const json& step : body.at("grads")) {
    auto& groups = out.gradients.emplace_back();
    for (size_t g = 0; g < step.size(); ++g) {
      groups.emplace_back();
      for (size_t t = 0; t < step[g].size(); ++t) {
        groups.back().push_back(step[g][t].is_null() ? at::Tensor()
                                                     : tensor_of(step[g][t], out.parameters[g][t].sizes(), out.type));
      }
    }
  }
  return out;
}

Problem load_problem(const std::string& folder, const std::string& id) {
  std::ifstream file(folder + "/problems.jsonl");
  for (std::string line; std::getline(file, line);) {
    if (line.find("\"" + id + "\"") == std::string::npos) continue;
    const json body = json::parse(line);
    if (body.at("id") == id) return read_problem(body);
  }
  throw Error(Code::kNoInput, "no problem '" + id + "' in problems.jsonl").at(folder);
}

Tolerance tolerance_of(const Case& c, at::ScalarType type) {
  if (c.body.at("problem") == "large_f32") return {2e-6, 1e-5};
  if (type == at::kFloat) return {2e-6, 0};
  return {c.body.at("optimizer").get<std::string>().find("novograd") == 0 ? 1e-6 : 1e-12, 0};
}

std::string compare_flat(const at::Tensor& got, const json& expected, Tolerance tolerance) {
  const at::Tensor flat = got.detach().to(at::kDouble).reshape({-1}).contiguous();
  if (flat.numel() != static_cast<int64_t>(expected.size())) return "another number of elements";
  for (size_t i = 0; i < expected.size(); ++i) {
    const double a = flat.const_data_ptr<double>()[i], b = number(expected[i]).value();
    if (!close(a, b, tolerance.absolute, tolerance.relative)) {
      return "element " + std::to_string(i) + ": expected " + shown(b) + ", got " + shown(a);
    }
  }
  return "";
}

// PyTorch casts scalar state to the parameter's type when it loads it; here it keeps its own, so that a resumed run
// goes on to the bit. `reloaded` allows exactly that difference. float32 state is printed with float32's digits.
std::string compare_state_value(const Value& got, const json& expected, Tolerance tolerance, bool reloaded) {
  if (expected.is_object()) {
    if (!got.is_tensor()) return std::string("expected a tensor, got ") + got.kind_name();
    const at::Tensor& tensor = got.tensor();
    if (tensor.sizes() != at::IntArrayRef(expected.at("shape").get<std::vector<int64_t>>()))
      return c10::str("another shape: ", tensor.sizes());
    const std::string type = tensor.scalar_type() == at::kDouble  ? "float64"
                             : tensor.scalar_type() == at::kFloat ? "float32"
                                                                  : "int64";
    const bool cast = reloaded && tensor.dim() == 0 && type == "float32" && expected.at("dtype") == "float64";
    if (expected.at("dtype") != type && !cast) return "expected " + json_text(expected.at("dtype")) + ", got " + type;
    if (type == "float32") tolerance.relative = std::max(tolerance.relative, 1e-6);
    return compare_flat(tensor, expected.at("data"), tolerance);
  }
  if (got.is_tensor()) return "expected a number, got a tensor";
  const double value = std::string(got.kind_name()) == "an integer" ? static_cast<double>(got.integer()) : got.real();
  return value == number(expected).value() ? "" : "expected " + json_text(expected) + ", got " + shown(value);
}

struct Training {
  OptimizerHandle optimizer;
  std::vector<std::vector<at::Tensor>> parameters;
};

Training start(const Case& c, const std::vector<std::vector<at::Tensor>>& initial) {
  Json config = {{"name", optimizer_name(c.body.at("optimizer"))}};
  for (const auto& [key, value] : c.body.at("options").items()) config[key] = ordered(value);
  Training out{make_optimizer(config, "optim"), {}};
  for (size_t g = 0; g < initial.size(); ++g) {
    std::vector<std::pair<std::string, at::Tensor>> members;
    out.parameters.emplace_back();
    for (size_t t = 0; t < initial[g].size(); ++t) {
      out.parameters.back().push_back(initial[g][t].clone().requires_grad_(true));
      members.emplace_back("group" + std::to_string(g) + ".tensor" + std::to_string(t), out.parameters.back().back());
    }
    Json overrides = Json::object();
    if (c.body.contains("group_opts") && c.body["group_opts"].is_object()) {
      const std::string index = std::to_string(g);
      if (c.body["group_opts"].contains(index)) overrides = ordered(c.body["group_opts"][index]);
    }
    out.optimizer.add_group(members, overrides);
  }
  return out;
}

// A new optimizer over copies of the parameters, with the state of the old one.
Training reload(const Case& c, Training& old) {
  std::vector<std::vector<at::Tensor>> copies;
  for (const auto& group : old.parameters) {
    copies.emplace_back();
    for (const at::Tensor& p : group) copies.back().push_back(p.detach().clone());
  }
  Training out = start(c, copies);
  for (size_t g = 0; g < old.parameters.size(); ++g) out.optimizer.load_group(g, old.optimizer.group_options(g));
  for (const auto& [parameter, values] : old.optimizer.save_state()) {
    for (const auto& [key, value] : values) out.optimizer.load_state(parameter, key, value);
  }
  return out;
}

std::string compare_state_dict(const json& expected, const OptimizerHandle& optimizer, Tolerance tolerance,
                               bool reloaded) {
  const auto state = optimizer.save_state();
  if (state.size() != expected.at("state").size()) {
    return "state of " + std::to_string(state.size()) + " parameters instead of " +
           std::to_string(expected["state"].size());
  }
  for (const auto& [parameter, values] : state) {
    const json& recorded = expected["state"].at(std::to_string(parameter));
    if (values.size() != recorded.size())
      return "another number of state entries of parameter " + std::to_string(parameter);
    for (const auto& [key, value] : values) {
      if (!recorded.contains(key)) return "state '" + key + "' is not PyTorch's";
      const std::string error = compare_state_value(value, recorded[key], tolerance, reloaded);
      if (!error.empty()) return "state '" + key + "' of parameter " + std::to_string(parameter) + ": " + error;
    }
  }
  for (size_t g = 0; g < expected.at("param_groups").size(); ++g) {
    const json got = json::parse(json_text(optimizer.group_options(g)));
    json recorded = expected["param_groups"][g];
    recorded.erase("params");
    for (const auto& [key, value] : recorded.items()) {
      if (!got.contains(key)) return "param_groups has no '" + key + "'";
      const std::string error = compare_option(got[key], value, tolerance);
      if (!error.empty()) return "'" + key + "' of group " + std::to_string(g) + ": " + error;
    }
    for (const auto& [key, value] : got.items()) {
      if (!recorded.contains(key)) return "param_groups has '" + key + "', which PyTorch's has not";
    }
  }
  return "";
}

Outcome run_trajectory(const Case& c) {
  const Problem problem = load_problem(c.folder, c.body.at("problem"));
  const Tolerance tolerance = tolerance_of(c, problem.type);
  const auto run = [&]() -> std::string {
    Training training = start(c, problem.parameters);
    const json changes = c.body.value("lr_change", json());
    for (size_t step = 0; step < problem.gradients.size(); ++step) {
      const std::string index = std::to_string(step);
      if (changes.is_object() && changes.contains(index)) {
        for (size_t g = 0; g < training.optimizer.group_count(); ++g) {
          training.optimizer.set_option(g, "lr", training.optimizer.get_option(g, "lr") * changes[index].get<double>());
        }
      }
      std::vector<at::Tensor> gradients;
      for (const auto& group : problem.gradients[step]) gradients.insert(gradients.end(), group.begin(), group.end());
      training.optimizer.step(gradients);
      const json& recorded = c.body.at("trajectory").at(step);
      for (size_t g = 0; g < recorded.size(); ++g) {
        for (size_t t = 0; t < recorded[g].size(); ++t) {
          const std::string error = compare_flat(training.parameters[g][t], recorded[g][t], tolerance);
          if (!error.empty())
            return "step " + index + ", group " + std::to_string(g) + ", tensor " + std::to_string(t) + ": " + error;
        }
      }
      if (c.body.contains("reload_at") && c.body["reload_at"] == step) training = reload(c, training);
    }
    const bool reloaded = c.body.contains("reload_at") && !c.body["reload_at"].is_null();
    return c.body.contains("state_dict")
               ? compare_state_dict(c.body["state_dict"], training.optimizer, tolerance, reloaded)
               : "";
  };
  if (c.body.contains("error") && !c.body["error"].is_null()) {
    std::string text;
    return fails(run, text) ? pass() : fail("expected an error: " + c.body.at("message").get<std::string>());
  }
  const std::string error = run();
  return error.empty() ? pass() : fail(error);
}

// A recorded problem is data for the others; what can be said of it alone is that it reads.
Outcome run_problem(const Case& c) {
  const Problem problem = read_problem(c.body);
  return problem.gradients.size() == c.body.at("grads").size() && !problem.parameters.empty()
             ? pass()
             : fail("it has no parameters or steps");
}

Outcome run_invalid(const Case& c) {
  Json config = {{"name", optimizer_name(c.body.at("optimizer"))}};
  for (const auto& [key, value] : c.body.at("options").items()) config[key] = ordered(value);
  std::string text;
  const bool refused = fails([&] { make_optimizer(config, "optim").add_group({{"weight", at::zeros({3})}}); }, text);
  if (refused == c.body.at("ok").get<bool>()) {
    return fail(refused ? "expected to be accepted, got " + text
                        : "expected to be refused: " + c.body.at("message").get<std::string>());
  }
  return pass();
}

Outcome run_optimizer_registry(const Case& c) {
  if (c.body.contains("lookup")) return run_lookup(c, kOptimizer);
  if (c.body.contains("params_name")) return compare_params(c, training::optimizer_params(), "optimizer");
  if (c.body.contains("args")) {
    Json result;
    std::string text;
    const bool refused =
        fails([&] { result = training::parse_optimizer_args(c.body.at("optimizer"), ordered(c.body["args"])); }, text);
    if (c.body.contains("error")) return refused ? pass() : fail("expected an error, got " + json_text(result));
    if (refused) return fail("expected a result, got " + text);
    const std::string error = compare_fields(json::parse(json_text(result)), c.body.at("result"));
    return error.empty() ? pass() : fail(error);
  }
  const std::string name = c.body.at("name");
  const fathom_component* component = plugins::registry().load(kOptimizer, name);
  const std::string class_name = c.body.at("class");
  bool known = false;
  for (size_t i = 0; i < component->alias_count; ++i) {
    const std::string alias = to_string(component->aliases[i]);
    known = known || alias.substr(alias.rfind('.') + 1) == class_name;
  }
  if (!known) return fail("no alias ends in " + class_name);
  json defaults = json::object();
  const json schema = json::parse(to_string(component->schema));
  for (const json& option : schema.at("options"))
    defaults[option.at("name").get<std::string>()] = option.value("default", json());
  const std::string error = compare_fields(defaults, c.body.at("constructor_defaults"));
  return error.empty() ? pass() : fail(error);
}

}  // namespace

void add_optim_suites(std::vector<Suite>& suites) {
  suites.push_back({"optimizers/problems", run_problem});
  suites.push_back({"optimizers/invalid_options", run_invalid});
  suites.push_back({"optimizers/registry", run_optimizer_registry});
  suites.push_back({"optimizers", run_trajectory});
  add_schedule_suites(suites);
}

}  // namespace fathom::conformance
