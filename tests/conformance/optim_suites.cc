// Recorded truth about optimizers and learning-rate schedules, run through the registry and the handles a trainer uses.
//
// Differences that are meant: nadam, radam, asgd and PyTorch's schedulers outside NeMo's registry are known here by class
// path only. An error of Python is met by any fathom::Error at the same place.
#include <ATen/ATen.h>

#include <cmath>
#include <fstream>
#include <map>

#include "core/plugins/registry.h"
#include "core/training/config_params.h"
#include "core/training/schedule_plan.h"
#include "fathom/optimizer.h"
#include "fathom/scheduler.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;

constexpr uint32_t kOptimizer = 1u << FATHOM_KIND_OPTIMIZER, kScheduler = 1u << FATHOM_KIND_SCHEDULER;

Json ordered(const json& value) { return Json::parse(value.dump()); }

// A recorded number; NaN and the infinities are texts or {"$float": text}.
std::optional<double> number(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  const json& text = value.is_object() && value.contains("$float") ? value["$float"] : value;
  if (text == "nan" || text == "NaN") return std::nan("");
  if (text == "inf" || text == "Infinity") return INFINITY;
  if (text == "-inf" || text == "-Infinity") return -INFINITY;
  if (value.is_object() && value.contains("data") && value["data"].size() == 1) return number(value["data"][0]);  // a 0-dim tensor
  return std::nullopt;
}

bool close(double a, double b, double absolute, double relative) {
  if (std::isnan(b)) return std::isnan(a);
  if (std::isinf(b)) return a == b;
  return std::abs(a - b) <= absolute * std::max(1.0, std::abs(b)) || std::abs(a - b) <= relative * std::abs(b);
}

std::string shown(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

// Whether `body` throws an Error; its text goes to `text`.
template <typename Body>
bool fails(Body&& body, std::string& text) {
  try {
    body();
    return false;
  } catch (const Error& error) {
    text = error.what();
    return true;
  }
}

// --- optimizers ---------------------------------------------------------------------------------------------------------------

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
  std::vector<std::vector<at::Tensor>> parameters;            // [group]
  std::vector<std::vector<std::vector<at::Tensor>>> gradients;  // [step][group]; undefined = none
};

Problem read_problem(const json& body) {
  Problem out;
  out.type = body.at("dtype") == "f64" ? at::kDouble : at::kFloat;
  for (const json& group : body.at("params")) {
    out.parameters.emplace_back();
    for (const json& tensor : group) {
      out.parameters.back().push_back(tensor_of(tensor.at("data"), tensor.at("shape").get<std::vector<int64_t>>(), out.type));
    }
  }
  for (const json& step : body.at("grads")) {
    auto& groups = out.gradients.emplace_back();
    for (size_t g = 0; g < step.size(); ++g) {
      groups.emplace_back();
      for (size_t t = 0; t < step[g].size(); ++t) {
        groups.back().push_back(step[g][t].is_null() ? at::Tensor() : tensor_of(step[g][t], out.parameters[g][t].sizes(), out.type));
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

struct Tolerance {
  double absolute, relative;
};
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

std::string compare_state_value(const Value& got, const json& expected, Tolerance tolerance) {
  if (expected.is_object()) {
    if (!got.is_tensor()) return std::string("expected a tensor, got ") + got.kind_name();
    const at::Tensor& tensor = got.tensor();
    if (tensor.sizes() != at::IntArrayRef(expected.at("shape").get<std::vector<int64_t>>())) return c10::str("another shape: ", tensor.sizes());
    const std::string type = tensor.scalar_type() == at::kDouble ? "float64" : tensor.scalar_type() == at::kFloat ? "float32" : "int64";
    if (type != expected.at("dtype")) return "expected " + expected.at("dtype").dump() + ", got " + type;
    return compare_flat(tensor, expected.at("data"), tolerance);
  }
  if (got.is_tensor()) return "expected a number, got a tensor";
  const double value = std::string(got.kind_name()) == "an integer" ? static_cast<double>(got.integer()) : got.real();
  return value == number(expected).value() ? "" : "expected " + expected.dump() + ", got " + shown(value);
}

std::string compare_option(const json& got, const json& expected, Tolerance tolerance) {
  if (const auto b = number(expected)) {
    const auto a = number(got);
    if (expected.is_boolean() != got.is_boolean()) return "expected " + expected.dump() + ", got " + got.dump();
    return a && close(*a, *b, tolerance.absolute, tolerance.absolute) ? "" : "expected " + expected.dump() + ", got " + got.dump();
  }
  if (expected.is_array() && got.is_array() && expected.size() == got.size()) {
    for (size_t i = 0; i < expected.size(); ++i) {
      if (const std::string error = compare_option(got[i], expected[i], tolerance); !error.empty()) return error;
    }
    return "";
  }
  return expected == got ? "" : "expected " + expected.dump() + ", got " + got.dump();
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

std::string compare_state_dict(const json& expected, const OptimizerHandle& optimizer, Tolerance tolerance) {
  const auto state = optimizer.save_state();
  if (state.size() != expected.at("state").size()) {
    return "state of " + std::to_string(state.size()) + " parameters instead of " + std::to_string(expected["state"].size());
  }
  for (const auto& [parameter, values] : state) {
    const json& recorded = expected["state"].at(std::to_string(parameter));
    if (values.size() != recorded.size()) return "another number of state entries of parameter " + std::to_string(parameter);
    for (const auto& [key, value] : values) {
      if (!recorded.contains(key)) return "state '" + key + "' is not PyTorch's";
      const std::string error = compare_state_value(value, recorded[key], tolerance);
      if (!error.empty()) return "state '" + key + "' of parameter " + std::to_string(parameter) + ": " + error;
    }
  }
  for (size_t g = 0; g < expected.at("param_groups").size(); ++g) {
    const json got = json::parse(optimizer.group_options(g).dump());
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
          if (!error.empty()) return "step " + index + ", group " + std::to_string(g) + ", tensor " + std::to_string(t) + ": " + error;
        }
      }
      if (c.body.contains("reload_at") && c.body["reload_at"] == step) training = reload(c, training);
    }
    return c.body.contains("state_dict") ? compare_state_dict(c.body["state_dict"], training.optimizer, tolerance) : "";
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
  return problem.gradients.size() == c.body.at("grads").size() && !problem.parameters.empty() ? pass() : fail("it has no parameters or steps");
}

Outcome run_invalid(const Case& c) {
  Json config = {{"name", optimizer_name(c.body.at("optimizer"))}};
  for (const auto& [key, value] : c.body.at("options").items()) config[key] = ordered(value);
  std::string text;
  const bool refused = fails([&] { make_optimizer(config, "optim").add_group({{"weight", at::zeros({3})}}); }, text);
  if (refused == c.body.at("ok").get<bool>()) {
    return fail(refused ? "expected to be accepted, got " + text : "expected to be refused: " + c.body.at("message").get<std::string>());
  }
  return pass();
}

// Recorded lists are texts where the recorder met a config list.
std::string compare_fields(const json& got, const json& expected) {
  if (got.size() != expected.size()) return "expected " + expected.dump() + ", got " + got.dump();
  for (const auto& [key, value] : expected.items()) {
    if (!got.contains(key)) return "there is no '" + key + "'";
    if (value.is_string() && got[key].is_array()) {
      const json list = json::parse(value.get<std::string>(), nullptr, false);
      if (!list.is_discarded() && compare_option(got[key], list, {0, 0}).empty()) continue;
    }
    if (value == "<mandatory>" && got[key] == "???") continue;
    const std::string error = compare_option(got[key], value, {0, 0});
    if (!error.empty()) return "'" + key + "': " + error;
  }
  return "";
}

Outcome compare_params(const Case& c, const std::vector<training::ParamsClass>& list, const char* kind) {
  const training::ParamsClass& params = training::find_params(list, c.body.at("params_name"), kind);
  if (params.class_name != c.body.at("class")) return fail("expected class " + c.body["class"].dump() + ", got " + params.class_name);
  const std::string error = compare_fields(json::parse(params.fields.dump()), c.body.at("fields"));
  return error.empty() ? pass() : fail(error);
}

Outcome run_lookup(const Case& c, uint32_t kind) {
  const bool expected = !c.body.contains("error"), found = plugins::registry().contains(kind, c.body.at("lookup").get<std::string>());
  if (expected == found) return pass();
  return fail(expected ? "expected to be found" : "expected not to be found");
}

Outcome run_optimizer_registry(const Case& c) {
  if (c.body.contains("lookup")) return run_lookup(c, kOptimizer);
  if (c.body.contains("params_name")) return compare_params(c, training::optimizer_params(), "optimizer");
  if (c.body.contains("args")) {
    Json result;
    std::string text;
    const bool refused = fails([&] { result = training::parse_optimizer_args(c.body.at("optimizer"), ordered(c.body["args"])); }, text);
    if (c.body.contains("error")) return refused ? pass() : fail("expected an error, got " + result.dump());
    if (refused) return fail("expected a result, got " + text);
    const std::string error = compare_fields(json::parse(result.dump()), c.body.at("result"));
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
  for (const json& option : schema.at("options")) defaults[option.at("name").get<std::string>()] = option.value("default", json());
  const std::string error = compare_fields(defaults, c.body.at("constructor_defaults"));
  return error.empty() ? pass() : fail(error);
}

// --- schedulers ---------------------------------------------------------------------------------------------------------------

constexpr double kScheduleTolerance = 1e-12;

std::string scheduler_name(const std::string& recorded) {
  constexpr std::string_view kExtra = "torch_extra_";
  if (recorded.substr(0, kExtra.size()) == kExtra) return "torch.optim.lr_scheduler." + recorded.substr(kExtra.size());
  return recorded;
}

// A scheduler with an optimizer of SGD's options in place of one: only rates and momentum are of interest.
struct Schedule {
  SchedulerHandle scheduler;
  ScheduleStep at;
  std::vector<double> momentum;

  Schedule(const Case& c, const Json& config) {
    at.base_lrs = at.lrs = c.body.at("base_lr").get<std::vector<double>>();
    momentum.assign(at.lrs.size(), 0.9);
    const Json sgd = {{"lr", at.lrs[0]}, {"momentum", 0.9}, {"dampening", 0}, {"weight_decay", 0}, {"nesterov", false}};
    scheduler = make_scheduler(config, "sched", std::nullopt, at.base_lrs, sgd);
    apply();
  }
  void step(std::optional<double> metric) {
    ++at.step;
    at.monitor = metric;
    apply();
  }
  void apply() {
    at.lrs = scheduler.rates(at);
    const auto second = scheduler.second_option(at);
    if (second.name == "momentum") momentum = second.values;
  }
};

std::string compare_row(const std::vector<double>& got, const json& expected, size_t row, const char* what) {
  if (got.size() != expected.size()) return std::string(what) + " of another number of groups";
  for (size_t g = 0; g < got.size(); ++g) {
    const double b = number(expected[g]).value();
    if (!close(got[g], b, 0, kScheduleTolerance) && std::abs(got[g] - b) > 1e-15) {
      return std::string(what) + " at row " + std::to_string(row) + ", group " + std::to_string(g) + ": expected " + shown(b) + ", got " +
             shown(got[g]);
    }
  }
  return "";
}

std::string compare_state(const json& got, const json& expected, const std::string& where) {
  if (const auto b = number(expected); b && !expected.is_boolean()) {
    const auto a = number(got);
    return a && close(*a, *b, 1e-12, 1e-12) ? "" : where + ": expected " + expected.dump() + ", got " + got.dump();
  }
  if (expected.is_string() && expected.get<std::string>().starts_with("<")) return "";  // a member that is no number
  if (expected.is_structured()) {
    if (got.type() != expected.type() || got.size() != expected.size()) return where + ": expected " + expected.dump() + ", got " + got.dump();
    for (const auto& [key, value] : expected.items()) {
      if (expected.is_object() && !got.contains(key)) return where + " has no '" + key + "'";
      const std::string error = compare_state(expected.is_object() ? got[key] : got[std::stoul(key)], value, where + "." + key);
      if (!error.empty()) return error;
    }
    return "";
  }
  return got == expected ? "" : where + ": expected " + expected.dump() + ", got " + got.dump();
}

Outcome run_curve(const Case& c) {
  Json config = {{"name", scheduler_name(c.body.at("scheduler"))}};
  for (const auto& [key, value] : c.body.at("options").items()) config[key] = ordered(value);
  const json& rows = c.body.contains("lr") ? c.body["lr"] : json::array();
  const json at = c.body.value("at", json());
  std::string text;
  std::optional<Schedule> schedule;
  const bool refused = fails([&] { schedule.emplace(c, config); }, text);
  if (at == "construction") return refused ? pass() : fail("expected an error at construction: " + c.body.at("message").get<std::string>());
  if (refused) return fail("expected to be made, got " + text);

  const auto metric = [&](size_t row) -> std::optional<double> {
    if (!c.body.contains("metrics")) return std::nullopt;
    return number(c.body["metrics"].at(row - 1));
  };
  Json state;
  Schedule saved = *schedule;
  for (size_t row = 0; row < rows.size(); ++row) {
    if (row > 0) schedule->step(metric(row));
    if (const std::string error = compare_row(schedule->at.lrs, rows[row], row, "lr"); !error.empty()) return fail(error);
    if (c.body.contains("momentum") && c.body["momentum"].is_array() && row < c.body["momentum"].size()) {
      const std::string error = compare_row(schedule->momentum, c.body["momentum"][row], row, "momentum");
      if (!error.empty()) return fail(error);
    }
    if (row == 20) {
      state = schedule->scheduler.save_state();
      saved.at = schedule->at;
    }
  }
  if (at.is_number()) {
    const bool failed = fails([&] { schedule->step(metric(rows.size())); }, text);
    return failed ? pass() : fail("expected an error at step " + at.dump());
  }
  if (state.is_null()) return pass();
  if (c.body.contains("state_after_20") && c.body["state_after_20"].is_object()) {
    json recorded = c.body["state_after_20"];
    const std::string error = compare_state(json::parse(state.dump()), recorded.at("scheduler"), "state");
    if (!error.empty()) return fail(error);
  }
  // The rest of the curve from a new scheduler with the saved state, and with the rates in force.
  Schedule resumed(c, config);
  resumed.scheduler.load_state(state);
  resumed.at.step = 20;
  resumed.at.lrs = saved.at.lrs;
  const json continuation = c.body.value("continuation_after_reload", json());
  const json& rest = continuation.is_array() ? continuation : rows;
  const size_t offset = continuation.is_array() ? 20 : 0;
  for (size_t row = 21; row < rows.size() && row - offset < rest.size(); ++row) {
    resumed.step(metric(row));
    const std::string error = compare_row(resumed.at.lrs, rest[row - offset], row, "lr after a reload");
    if (!error.empty()) return fail(error);
  }
  // The same with the optimizer's own rates.
  const json alone = c.body.value("scheduler_only_reload_next", json());
  if (alone.is_array()) {
    Schedule next(c, config);
    if (const std::string error = compare_row(next.at.lrs, alone.at(0), 20, "lr of a new scheduler"); !error.empty()) return fail(error);
    next.scheduler.load_state(state);
    next.at.step = 20;
    for (size_t i = 1; i < alone.size(); ++i) {
      next.step(metric(20 + i));
      const std::string error = compare_row(next.at.lrs, alone[i], 20 + i, "lr after a reload of the scheduler only");
      if (!error.empty()) return fail(error);
    }
  }
  return pass();
}

Outcome run_compute_max_steps(const Case& c) {
  const json& b = c.body;
  const double limit = number(b.at("limit_train_batches")).value();
  const Json typed = b.at("limit_is_int").get<bool>() ? Json(static_cast<int64_t>(limit)) : Json(limit);
  int64_t steps = 0;
  std::string text;
  const bool refused = fails(
      [&] {
        steps = training::compute_max_steps(b.at("max_epochs").get<int64_t>(), b.at("accumulate_grad_batches").get<int64_t>(), typed,
                                            b.at("num_workers").get<int64_t>(), b.at("num_samples").get<int64_t>(),
                                            b.at("batch_size").get<int64_t>(), b.at("drop_last").get<bool>());
      },
      text);
  if (b.contains("error")) return refused ? pass() : fail("expected an error, got " + std::to_string(steps));
  if (refused) return fail("expected " + b.at("max_steps").dump() + ", got " + text);
  return steps == b.at("max_steps") ? pass() : fail("expected " + b.at("max_steps").dump() + ", got " + std::to_string(steps));
}

Outcome run_prepare(const Case& c) {
  std::optional<training::TrainLoaderSize> loader;
  if (const json& size = c.body.at("train_loader"); !size.is_null()) {
    loader = training::TrainLoaderSize{size.at("samples"), size.at("batch_size"), size.at("drop_last")};
  }
  const std::vector<double> base = {0.1, 0.2};
  const Json sgd = {{"lr", 0.1}, {"momentum", 0}, {"dampening", 0}, {"weight_decay", 0}, {"nesterov", false}};
  training::SchedulePlan plan;
  SchedulerHandle scheduler;
  ScheduleStep at;
  at.base_lrs = at.lrs = base;
  json got;
  std::string text;
  const bool refused = fails(
      [&] {
        plan = training::plan_lr_scheduler(ordered(c.body.at("sched")), loader, "optim.sched");
        if (!plan.use) return;
        scheduler = make_scheduler(plan.section, "optim.sched", plan.max_steps, base, sgd);
        const std::vector<double> first = scheduler.rates(at);
        const std::string name = scheduler.name();
        const json state = json::parse(scheduler.save_state().dump());
        got = {{"class", name.substr(name.rfind('.') + 1)}, {"interval", plan.interval.value_or(scheduler.interval())},
               {"frequency", plan.frequency}, {"monitor", plan.monitor}, {"reduce_on_plateau", scheduler.needs_monitor()},
               {"initial_lr", first}};
        for (const char* key : {"max_steps", "warmup_steps", "hold_steps", "min_lr"}) got[key] = state.value(key, json());
      },
      text);
  if (c.body.contains("error")) return refused ? pass() : fail("expected an error: " + c.body.at("message").get<std::string>());
  if (refused) return fail("expected a result, got " + text);
  json expected = c.body.at("result");
  if (expected.is_null()) return plan.use ? fail("expected no scheduler, got " + got.dump()) : pass();
  if (!plan.use) return fail("expected a scheduler, got none: " + plan.reason);
  expected.erase("keys");
  const std::string error = compare_state(got, expected, "result");
  return error.empty() ? pass() : fail(error);
}

Outcome run_scheduler_registry(const Case& c) {
  if (c.body.contains("lookup")) return run_lookup(c, kScheduler);
  if (c.body.contains("params_name")) return compare_params(c, training::scheduler_params(), "scheduler");
  if (c.body.contains("register")) {
    // Two plugins giving one name: refused when the second is asked for; here, that the name is taken at all.
    const bool taken = plugins::registry().contains(kScheduler, c.body["register"].get<std::string>());
    return taken ? pass() : fail("the name is free");
  }
  const std::string name = c.body.at("name");
  if (!plugins::registry().contains(kScheduler, name)) return fail("not registered");
  // Whether it counts epochs, of an object made with the smallest set of options.
  Json config = {{"name", name}, {"max_steps", 10}, {"d_model", 8}, {"constant_steps", 4}, {"step_size", 1}, {"gamma", 0.9},
                 {"base_lr", 0.1}, {"max_lr", 0.2}};
  const json schema = json::parse(to_string(plugins::registry().load(kScheduler, name)->schema));
  for (const char* key : {"max_steps", "d_model", "constant_steps", "step_size", "gamma", "base_lr", "max_lr"}) {
    bool known = false;
    for (const json& option : schema.at("options")) known = known || option.at("name") == key;
    if (!known) config.erase(key);
  }
  const bool epoch = make_scheduler(config, "sched", std::nullopt, {0.1}, {{"momentum", 0.9}}).interval() == "epoch";
  return epoch == c.body.at("epoch_interval").get<bool>() ? pass() : fail(std::string("its interval is ") + (epoch ? "epoch" : "step"));
}

}  // namespace

void add_optim_suites(std::vector<Suite>& suites) {
  suites.push_back({"optimizers/problems", run_problem});
  suites.push_back({"optimizers/invalid_options", run_invalid});
  suites.push_back({"optimizers/registry", run_optimizer_registry});
  suites.push_back({"optimizers", run_trajectory});
  suites.push_back({"schedulers/compute_max_steps", run_compute_max_steps});
  suites.push_back({"schedulers/prepare_lr_scheduler", run_prepare});
  suites.push_back({"schedulers/registry", run_scheduler_registry});
  suites.push_back({"schedulers", run_curve});
}

}  // namespace fathom::conformance
