#include "core/planning/schedule_plan.h"

#include <algorithm>
#include <cmath>

#include "core/base/log.h"
#include "core/planning/config_params.h"

namespace fathom::training {
namespace {

double number(const Json& section, const char* key, const std::string& path) {
  const auto found = section.find(key);
  if (found == section.end() || !found->is_number()) {
    throw Error(Code::kFailed, std::string("'") + key + "' must be a number")
        .at(path + "." + key)
        .seen(found == section.end() ? "nothing" : json_text(*found));
  }
  return found->get<double>();
}
int64_t integer(const Json& section, const char* key, const std::string& path) {
  const double value = number(section, key, path);
  if (value != std::floor(value)) {
    throw Error(Code::kFailed, std::string("'") + key + "' must be a whole number")
        .at(path + "." + key)
        .seen(json_text(section[key]));
  }
  return static_cast<int64_t>(value);
}

std::string text_of(const Json& value, const char* key) {
  if (!value.is_string())
    throw Error(Code::kFailed, std::string("'") + key + "' must be a text").at(key).seen(json_text(value));
  return value.get<std::string>();
}

Json without(Json section, std::initializer_list<const char*> keys) {
  for (const char* key : keys) section.erase(key);
  return section;
}

bool given(const Json& section, const char* key) { return section.contains(key) && !section[key].is_null(); }

// NeMo's maybe_update_config_version: `cls` is an old spelling of `_target_`, and what stands below `params` belongs
// beside it.
Json updated(Json section) {
  if (!section.is_object()) return section;
  if (section.contains("cls") && !section.contains("_target_")) {
    section["_target_"] = Json(section["cls"]);
    section.erase("cls");
  }
  if (section.contains("params") && (section["params"].is_object() || section["params"].is_null())) {
    const Json params = section["params"];
    section.erase("params");
    for (const auto& [key, value] : params.items()) section[key] = value;
  }
  for (const auto& [key, value] : section.items()) value = updated(value);
  return section;
}

void need_values(const Json& options, const std::string& where) {
  for (const auto& [key, value] : options.items()) {
    if (value == kMissing)
      throw Error(Code::kFailed, "'" + key + "' is mandatory").at(where).next("give a value for " + key);
  }
}

}  // namespace

Json parse_optimizer_args(const std::string& optimizer_name, const Json& given_args, const std::string& config_path) {
  if (given_args.is_null()) return Json::object();
  if (!given_args.is_object())
    throw Error(Code::kFailed, "the optimizer's args must be a map").at(config_path).seen(json_text(given_args));
  const Json args = updated(given_args);
  if (args.contains("_target_")) {
    const std::string path = text_of(args["_target_"], "_target_");
    const ParamsClass* params = find_params_by_path(optimizer_params(), path);
    if (params == nullptr) {
      throw Error(Code::kFailed, "'" + path + "' is no parameter class of an optimizer")
          .at(config_path + "._target_")
          .expected("one of nemo.core.config, such as nemo.core.config.AdamParams");
    }
    return params_with(*params, without(args, {"_target_"}));
  }
  if (!args.contains("name")) return args;
  const std::string name = text_of(args["name"], "name");
  const ParamsClass& params =
      find_params(optimizer_params(), name == "auto" ? optimizer_name + "_params" : name, "optimizer");
  return params_with(params, without(args, {"name"}));
}

OptimizerPlan plan_optimizer(const Json& section, const std::string& config_path) {
  if (!section.is_object())
    throw Error(Code::kFailed, "the optim section must be a map").at(config_path).seen(json_text(section));
  const Json optim = updated(section);
  OptimizerPlan plan;
  plan.sched = optim.contains("sched") ? optim["sched"] : Json(nullptr);
  std::string short_name;  // what `name: auto` looks up
  if (given(optim, "_target_")) {
    plan.name = text_of(optim["_target_"], "_target_");
    short_name = plan.name.substr(plan.name.rfind('.') + 1);
    std::transform(short_name.begin(), short_name.end(), short_name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
  } else {
    plan.name = short_name = given(optim, "name") ? text_of(optim["name"], "name") : "adam";
  }
  if (!optim.contains("args")) {
    plan.options = without(optim, {"name", "cls", "_target_", "lr", "sched", "no_decay"});
  } else {
    try {
      plan.options = parse_optimizer_args(short_name, optim["args"], config_path + ".args");
    } catch (Error& error) {
      error.locate(config_path + ".args");
      throw;
    }
  }
  if (given(optim, "lr")) plan.options["lr"] = optim["lr"];
  need_values(plan.options, config_path);
  return plan;
}

Json OptimizerPlan::section() const {
  Json out = options;
  out[name.find('.') == std::string::npos ? "name" : "_target_"] = name;
  return out;
}

int64_t compute_max_steps(int64_t max_epochs, int64_t accumulate_grad_batches, const Json& limit_train_batches,
                          int64_t num_workers, int64_t num_samples, int64_t batch_size, bool drop_last) {
  if (batch_size == 0)
    throw Error(Code::kFailed, "batch_size must not be 0").at("train_ds.batch_size").next("set batch_size");
  if (accumulate_grad_batches == 0) {
    throw Error(Code::kFailed, "accumulate_grad_batches must not be 0")
        .at("trainer.accumulate_grad_batches")
        .next("use 1 or more");
  }
  if (!limit_train_batches.is_number()) {
    throw Error(Code::kFailed, "limit_train_batches must be a number")
        .at("trainer.limit_train_batches")
        .seen(json_text(limit_train_batches));
  }
  const double samples =
      std::ceil(static_cast<double>(num_samples) / static_cast<double>(std::max<int64_t>(1, num_workers)));
  const double batches = samples / static_cast<double>(batch_size);
  double steps = drop_last ? std::floor(batches) : std::ceil(batches);
  const double limit = limit_train_batches.get<double>();
  if (limit_train_batches.is_number_integer() || limit == 0.0)
    steps = std::min(steps, std::trunc(limit));
  else
    steps = std::trunc(steps * limit);
  return static_cast<int64_t>(std::ceil(steps / static_cast<double>(accumulate_grad_batches))) * max_epochs;
}

SchedulePlan plan_lr_scheduler(const Json& section, const std::optional<TrainLoaderSize>& loader,
                               const std::string& config_path) {
  SchedulePlan plan;
  const auto none = [&](const char* reason) {
    plan.reason = reason;
    return plan;
  };
  if (section.is_null()) return none("there is no sched section");
  if (!section.is_object())
    throw Error(Code::kFailed, "the sched section must be a map").at(config_path).seen(json_text(section));
  const Json sched = updated(section);

  Json args = sched.contains("args")
                  ? sched["args"]
                  : without(sched, {"name", "t_max_epochs", "t_accumulate_grad_batches", "t_limit_train_batches",
                                    "t_num_workers", "monitor", "reduce_on_plateau"});
  if (args.is_null()) args = Json::object();
  if (!args.is_object())
    throw Error(Code::kFailed, "the scheduler's args must be a map").at(config_path + ".args").seen(json_text(args));

  std::string name;
  if (args.contains("_target_")) {
    name = text_of(args["_target_"], "_target_");
    args.erase("_target_");
    if (const ParamsClass* params = find_params_by_path(scheduler_params(), name)) {
      args = params_with(*params, args);
      name = params->class_name.substr(0, params->class_name.find("Params"));
    } else if (name.starts_with("nemo.core.config.")) {
      throw Error(Code::kFailed, "'" + name + "' is no parameter class of a scheduler")
          .at(config_path + ".args._target_")
          .expected("one such as nemo.core.config.CosineAnnealingParams");
    }  // else a scheduler's own class path
  } else if (given(sched, "name")) {
    name = text_of(sched["name"], "name");
  } else {
    return none("the sched section names no scheduler");
  }
  if (args.contains("name")) {
    const std::string params = text_of(args["name"], "name");
    if (args.size() > 1) {
      log_warning("training",
                  "what stands beside {}.args.name has no effect, as in NeMo: write the scheduler's options into the "
                  "section itself",
                  config_path);
    }
    args = find_params(scheduler_params(), params == "auto" ? name + "Params" : params, "scheduler").fields;
  }
  plan.section = {{"name", name}};
  args.erase("max_steps");
  need_values(args, config_path);
  for (const auto& [key, value] : args.items()) plan.section[key] = value;
  if (given(sched, "monitor")) plan.monitor = text_of(sched["monitor"], "monitor");

  if (given(sched, "max_steps")) {
    plan.max_steps = number(sched, "max_steps", config_path);
    if (*plan.max_steps == -1) return none("max_steps is -1, so the number of steps is not known");
    if (!(*plan.max_steps >= 0)) {
      throw Error(Code::kFailed, "max_steps must not be negative")
          .at(config_path + ".max_steps")
          .seen(json_text(sched["max_steps"]));
    }
  } else {
    if (!sched.contains("t_max_epochs"))
      return none("neither its max_steps nor the trainer's number of epochs is known");
    if (!loader) return none("its number of steps follows from the training data, and there is none");
    if (!given(sched, "t_max_epochs")) return none("neither trainer.max_steps nor trainer.max_epochs is set");
    plan.max_steps = static_cast<double>(compute_max_steps(
        integer(sched, "t_max_epochs", config_path), integer(sched, "t_accumulate_grad_batches", config_path),
        sched.value("t_limit_train_batches", Json(nullptr)), integer(sched, "t_num_workers", config_path),
        loader->num_samples, loader->batch_size, loader->drop_last));
  }
  plan.use = true;
  return plan;
}

}  // namespace fathom::training
