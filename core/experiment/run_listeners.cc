#include "core/base/log.h"
#include "core/experiment/run_parts.h"

namespace fathom {
namespace {

// A plugin section with defaults below what the config says.
Json with_defaults(Json defaults, const Json& given) {
  if (given.is_object()) {
    for (const auto& [key, value] : given.items()) defaults[key] = value;
  }
  return defaults;
}

}  // namespace

std::vector<LoggerHandle> make_loggers(const RunPlan& plan) {
  const TrainerOptions& trainer = plan.trainer;
  const RunFolder& run = plan.folder;
  const ExpManagerOptions* manager = plan.manager ? &*plan.manager : nullptr;
  std::vector<LoggerHandle> loggers;
  const Json context = {{"save_dir", run.log_dir}, {"name", run.name}, {"version", run.version}};
  const auto add = [&](const Json& given, const std::string& path) {
    loggers.emplace_back(create_object(1u << FATHOM_KIND_LOGGER, given, path, context));
  };
  const bool off = trainer.logger.is_boolean() && !trainer.logger.get<bool>();
  if (trainer.logger.is_object()) add(trainer.logger, "trainer.logger");
  if (trainer.logger.is_array()) {
    for (size_t i = 0; i < trainer.logger.size(); ++i)
      add(trainer.logger[i], "trainer.logger[" + std::to_string(i) + "]");
  }
  if (!loggers.empty() || trainer.barebones || trainer.fast_dev_run.get<int64_t>() > 0) return loggers;
  if (manager != nullptr) {  // NeMo's configs set trainer.logger=false because exp_manager makes its own
    if (manager->create_csv_logger) add({{"name", "csv"}}, "exp_manager");
    if (manager->create_tensorboard_logger) {
      add(with_defaults({{"name", "tensorboard"}}, manager->summary_writer_kwargs),
          "exp_manager.summary_writer_kwargs");
    }
  } else if (!off) {
    add({{"name", "csv"}}, "trainer.logger");
    add({{"name", "tensorboard"}}, "trainer.logger");
  }
  return loggers;
}

std::vector<CallbackHandle> make_callbacks(const RunPlan& plan, bool has_validation) {
  const TrainerOptions& trainer = plan.trainer;
  const RunFolder& run = plan.folder;
  const ExpManagerOptions* manager = plan.manager ? &*plan.manager : nullptr;
  std::vector<CallbackHandle> callbacks;
  if (trainer.barebones) {
    if (!trainer.callbacks.empty() || manager != nullptr)
      log_warning("experiment", "trainer.barebones is set: no callback runs, and no checkpoint is written");
    return callbacks;
  }
  const Json context = {{"run_dir", run.log_dir}, {"checkpoint_dir", run.checkpoint_dir}, {"name", run.name}};
  std::vector<std::string> configured;
  const auto add = [&](const Json& given, const std::string& path) {
    callbacks.emplace_back(create_object(1u << FATHOM_KIND_CALLBACK, given, path, context));
    configured.push_back(callbacks.back().name());
  };
  const auto has = [&](const char* part) {
    for (const auto& name : configured) {
      if (name.find(part) != std::string::npos) return true;
    }
    return false;
  };
  if (trainer.callbacks.is_array()) {
    for (size_t i = 0; i < trainer.callbacks.size(); ++i)
      add(trainer.callbacks[i], "trainer.callbacks[" + std::to_string(i) + "]");
  } else if (trainer.callbacks.is_object()) {
    for (const auto& [key, given] : trainer.callbacks.items()) add(given, "trainer.callbacks." + key);
  }
  if (trainer.enable_progress_bar && !has("Progress")) add({{"name", "ProgressBar"}}, "trainer.enable_progress_bar");
  if (trainer.enable_model_summary && !has("ModelSummary"))
    add({{"name", "ModelSummary"}}, "trainer.enable_model_summary");
  const bool fast = trainer.fast_dev_run.get<int64_t>() > 0;
  if (manager != nullptr && !fast) {
    if (manager->create_early_stopping_callback) {
      add(with_defaults({{"name", "EarlyStopping"}, {"min_delta", 0.001}, {"patience", 10}},
                        manager->early_stopping_callback_params),
          "exp_manager.early_stopping_callback_params");
    }
    if (manager->log_step_timing)
      add(with_defaults({{"name", "TimingCallback"}}, manager->step_timing_kwargs), "exp_manager.step_timing_kwargs");
    if (Json ema = manager->ema; ema.is_object() && ema.value("enable", false)) {
      ema.erase("enable");
      add(with_defaults({{"name", "EMA"}}, ema), "exp_manager.ema");
    }
    if (manager->create_checkpoint_callback) {
      Json params = with_defaults({{"name", "NeMoModelCheckpoint"}}, manager->checkpoint_callback_params);
      if (!has_validation && !params.contains("monitor")) params["monitor"] = nullptr;
      add(params, "exp_manager.checkpoint_callback_params");
    }
  } else if (trainer.enable_checkpointing && !fast && !has("ModelCheckpoint")) {
    add({{"name", "ModelCheckpoint"}}, "trainer.enable_checkpointing");
  }
  return callbacks;
}

}  // namespace fathom
