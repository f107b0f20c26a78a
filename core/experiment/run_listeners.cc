#include "core/base/log.h"
#include "core/experiment/run_parts.h"
#include "core/planning/component_plan.h"

namespace fathom {

training::LoggerGroup make_loggers(const RunPlan& plan) {
  const RunFolder& run = plan.folder;
  const Json context = {{"save_dir", run.log_dir}, {"name", run.name}, {"version", run.version}};
  training::LoggerGroup loggers;
  for (const auto& logger : plan_components(plan.trainer, plan.exp_manager(), true).loggers) {
    if (logger.used)
      loggers.add(LoggerHandle(create_object(1u << FATHOM_KIND_LOGGER, logger.section, logger.path, context)));
  }
  return loggers;
}

std::vector<CallbackHandle> make_callbacks(const RunPlan& plan, bool has_validation) {
  if (plan.trainer.barebones && (!plan.trainer.callbacks.empty() || plan.manager))
    log_warning("experiment", "trainer.barebones is set: no callback runs, and no checkpoint is written");
  const RunFolder& run = plan.folder;
  const Json context = {
      {"run_dir", run.log_dir}, {"checkpoint_dir", run.checkpoint_dir}, {"name", run.name}, {"version", run.version}};
  std::vector<CallbackHandle> callbacks;
  for (const auto& callback : plan_components(plan.trainer, plan.exp_manager(), has_validation).callbacks) {
    if (callback.used)
      callbacks.emplace_back(create_object(1u << FATHOM_KIND_CALLBACK, callback.section, callback.path, context));
  }
  training::check_state_keys(callbacks);
  return callbacks;
}

std::vector<CallbackHandle> make_named_callbacks(const RunPlan& plan) {
  const Json context = {{"run_dir", "."}, {"checkpoint_dir", "checkpoints"}, {"name", "predict"}};
  std::vector<CallbackHandle> callbacks;
  for (const auto& callback : named_callbacks(plan.trainer))
    callbacks.emplace_back(create_object(1u << FATHOM_KIND_CALLBACK, callback.section, callback.path, context));
  return callbacks;
}

}  // namespace fathom
