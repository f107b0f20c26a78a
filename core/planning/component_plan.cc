#include "core/planning/component_plan.h"

#include <algorithm>

#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "core/plugins/section.h"

namespace fathom {
namespace {

constexpr uint32_t kCallback = 1u << FATHOM_KIND_CALLBACK;

// A section with defaults below what the config says.
Json with_defaults(Json defaults, const Json& given) {
  if (given.is_object()) {
    for (const auto& [key, value] : given.items()) defaults[key] = value;
  }
  return defaults;
}

// A list or a map of sections, each of which names its component.
void add_sections(const Json& given, const std::string& path, bool used, std::vector<PlannedComponent>& out) {
  if (given.is_array()) {
    for (size_t i = 0; i < given.size(); ++i) out.push_back({path + "[" + std::to_string(i) + "]", given[i], used});
  } else if (given.is_object()) {
    for (const auto& [key, section] : given.items()) out.push_back({path + "." + key, section, used});
  }
}

// The registered name of what a section names, or the name as it is written where no plugin has it.
std::string registered_name(const Json& section) {
  const std::string key = section.is_object() ? plugins::selecting_key(kCallback, section) : "";
  if (key.empty() || !section[key].is_string()) return "";
  const std::string written = section[key].get<std::string>();
  auto& registry = plugins::registry();
  return registry.contains(kCallback, written) ? registry.find(kCallback, written).component->name : written;
}

bool is_fast(const TrainerOptions& trainer) {
  return trainer.fast_dev_run.is_number() ? trainer.fast_dev_run.get<double>() > 0 : trainer.fast_dev_run == true;
}

std::vector<PlannedComponent> plan_loggers(const TrainerOptions& trainer, const ExpManagerOptions* manager) {
  std::vector<PlannedComponent> loggers;
  if (trainer.logger.is_object()) loggers.push_back({"trainer.logger", trainer.logger});
  if (trainer.logger.is_array()) add_sections(trainer.logger, "trainer.logger", true, loggers);
  const bool implied = loggers.empty() && !trainer.barebones && !is_fast(trainer);
  if (manager != nullptr) {  // NeMo's configs set trainer.logger=false because exp_manager makes its own
    loggers.push_back({"exp_manager", {{"name", "csv"}}, implied && manager->create_csv_logger});
    loggers.push_back({"exp_manager.summary_writer_kwargs",
                       with_defaults({{"name", "tensorboard"}}, manager->summary_writer_kwargs),
                       implied && manager->create_tensorboard_logger});
    // These are asked for by name, so they come beside the trainer's own. `name` is the run's here.
    const bool runs = !trainer.barebones && !is_fast(trainer);
    const auto ask = [&](const char* key, bool on, const Json& kwargs, Json defaults) {
      if (on || kwargs.is_object())
        loggers.push_back({std::string("exp_manager.") + key, with_defaults(std::move(defaults), kwargs), runs && on});
    };
    ask("wandb_logger_kwargs", manager->create_wandb_logger, manager->wandb_logger_kwargs, {{"_target_", "wandb"}});
    ask("mlflow_logger_kwargs", manager->create_mlflow_logger, manager->mlflow_logger_kwargs,
        {{"_target_", "mlflow"}, {"experiment_name", nullptr}});
  } else if (trainer.logger != false) {
    for (const char* name : {"csv", "tensorboard"}) loggers.push_back({"trainer.logger", {{"name", name}}, implied});
  }
  return loggers;
}

std::vector<PlannedComponent> plan_callbacks(const TrainerOptions& trainer, const ExpManagerOptions* manager,
                                             bool has_validation) {
  std::vector<PlannedComponent> callbacks;
  const bool runs = !trainer.barebones;
  add_sections(trainer.callbacks, "trainer.callbacks", runs, callbacks);
  std::vector<std::string> names;
  for (const auto& callback : callbacks) names.push_back(registered_name(callback.section));
  const auto has = [&](const char* part) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return name.find(part) != std::string::npos; });
  };
  const auto imply = [&](const char* key, const char* name, bool used) {
    callbacks.push_back({key, {{"name", name}}, runs && used});
  };
  // Lightning 1.x's flags for callbacks.
  if (trainer.accumulate_grad_batches.is_object()) {
    callbacks.push_back({"trainer.accumulate_grad_batches",
                         {{"name", "GradientAccumulationScheduler"}, {"scheduling", trainer.accumulate_grad_batches}},
                         runs});
  }
  if (!tracks_no_norm(trainer.track_grad_norm)) {
    callbacks.push_back(
        {"trainer.track_grad_norm", {{"name", "GradientNormMonitor"}, {"norm_type", trainer.track_grad_norm}}, runs});
  }
  imply("trainer.stochastic_weight_avg", "StochasticWeightAveraging",
        trainer.stochastic_weight_avg && !has("StochasticWeightAveraging"));
  imply("trainer.enable_progress_bar", "ProgressBar", trainer.enable_progress_bar && !has("Progress"));
  imply("trainer.enable_model_summary", "ModelSummary", trainer.enable_model_summary && !has("ModelSummary"));
  const bool saves = runs && !is_fast(trainer);
  if (manager == nullptr) {
    imply("trainer.enable_checkpointing", "ModelCheckpoint",
          saves && trainer.enable_checkpointing && !has("ModelCheckpoint"));
    return callbacks;
  }
  const bool deltas = manager->log_delta_step_timing;  // in place of the other
  callbacks.push_back(
      {"exp_manager.step_timing_kwargs",
       with_defaults({{"name", deltas ? "DeltaTimingCallback" : "TimingCallback"}}, manager->step_timing_kwargs),
       saves && (deltas || manager->log_step_timing)});
  callbacks.push_back({"exp_manager.early_stopping_callback_params",
                       with_defaults({{"name", "EarlyStopping"}, {"min_delta", 0.001}, {"patience", 10}},
                                     manager->early_stopping_callback_params),
                       saves && manager->create_early_stopping_callback});
  if (Json average = manager->ema; average.is_object() && average.value("enable", Json()) == true) {
    average.erase("enable");
    callbacks.push_back({"exp_manager.ema", with_defaults({{"name", "EMA"}}, average), saves});
  }
  Json checkpoint = with_defaults({{"name", "NeMoModelCheckpoint"}}, manager->checkpoint_callback_params);
  if (!has_validation && !checkpoint.contains("monitor")) checkpoint["monitor"] = nullptr;
  callbacks.push_back(
      {"exp_manager.checkpoint_callback_params", std::move(checkpoint), saves && manager->create_checkpoint_callback});
  return callbacks;
}

}  // namespace

ComponentPlan plan_components(const TrainerOptions& trainer, const ExpManagerOptions* manager, bool has_validation) {
  return {plan_loggers(trainer, manager), plan_callbacks(trainer, manager, has_validation)};
}

std::vector<PlannedComponent> named_callbacks(const TrainerOptions& trainer) {
  std::vector<PlannedComponent> callbacks;
  add_sections(trainer.callbacks, "trainer.callbacks", true, callbacks);
  return callbacks;
}

void check_contradictions(const TrainerOptions& trainer, const ExpManagerOptions* manager) {
  if (is_fast(trainer) || trainer.barebones) return;  // which switch things off by themselves
  for (const auto& callback : named_callbacks(trainer)) {
    const std::string name = registered_name(callback.section);
    const auto contradicts = [&](bool does, const char* part, const char* key, const char* value, const char* next) {
      if (!does || name.find(part) == std::string::npos) return;
      throw Error(Code::kFailed, std::string("contradicts ") + key + "=" + value)
          .at(callback.path)
          .seen(name)
          .next(next);
    };
    contradicts(manager != nullptr && manager->create_checkpoint_callback, "ModelCheckpoint",
                "exp_manager.create_checkpoint_callback", "true",
                "set exp_manager.create_checkpoint_callback=false, or remove the callback");
    contradicts(manager == nullptr && !trainer.enable_checkpointing, "ModelCheckpoint", "trainer.enable_checkpointing",
                "false", "set it to true, or remove the callback");
    contradicts(!trainer.enable_progress_bar, "Progress", "trainer.enable_progress_bar", "false",
                "set it to true, or remove the callback");
    contradicts(!trainer.enable_model_summary, "ModelSummary", "trainer.enable_model_summary", "false",
                "set it to true, or remove the callback");
  }
}

std::vector<MonitoredMetric> monitored_metrics(const ComponentPlan& plan) {
  std::vector<MonitoredMetric> monitors;
  for (const auto& callback : plan.callbacks) {
    const std::string name = callback.used ? registered_name(callback.section) : "";
    if (name.empty() || !plugins::registry().contains(kCallback, name)) continue;
    const Json options = plugins::registry().find(kCallback, name).component->schema.value("options", Json::array());
    const auto value_of = [&](const char* key) -> std::string {
      Json value;
      for (const auto& option : options) {
        if (option["name"] == key && option.contains("default")) value = option["default"];
      }
      if (callback.section.contains(key)) value = callback.section[key];
      return value.is_string() ? value.get<std::string>() : "";
    };
    MonitoredMetric monitor = {value_of("monitor"), value_of("mode")};
    const bool known = std::any_of(monitors.begin(), monitors.end(),
                                   [&](const MonitoredMetric& m) { return m.metric == monitor.metric; });
    if (!known && !monitor.metric.empty() && (monitor.mode == "min" || monitor.mode == "max"))
      monitors.push_back(std::move(monitor));
  }
  return monitors;
}

const std::vector<std::string>& host_keys_of_model() {
  static const std::vector<std::string> kKeys = {
      "_target_",   "target", "nemo_version", "train_ds",           "validation_ds",  "test_ds",
      "predict_ds", "optim",  "adapters",     "optim_param_groups", "freeze_updates", "skip_nan_grad"};
  return kKeys;
}

}  // namespace fathom
