#include "core/experiment/run_parts.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include "core/base/log.h"
#include "core/models/adapters_file.h"
#include "core/models/init_from.h"
#include "core/plugins/host_table.h"
#include "core/training/model_wiring.h"
#include "fathom/adapter.h"
#include "fathom/fine_tuning.h"

namespace fathom {
namespace {

// Restored ones are put into the mode of what comes: training, or evaluation.
void make_model(const RunPlan& plan, RunParts& parts) {
  const ModelPlan& model = plan.model;
  if (model.nemo.empty()) {
    const Json context = {{"restoring", false}, {"seed", plan.seed}};
    parts.trainer.model = ModelHandle(create_object(1u << FATHOM_KIND_MODEL, model.section, "model", context));
    if (!plan.evaluates) init_weights(*parts.trainer.model.torch_module(), plan.config);
  } else {
    RestoreOptions options;
    options.overrides = model.section;
    options.override_config_path = model.override_config_path;
    options.strict = model.strict;
    RestoredModel restored = restore_nemo(model.nemo, options);
    parts.artifacts = restored.artifacts;
    parts.trainer.model = std::move(restored.model);
    if (!plan.evaluates) {
      parts.trainer.model.torch_module()->train();
      log_info("restore", "init_from_nemo_model: the model of {}", model.nemo);
      start_fine_tuning(parts.trainer.model.object(), "model");
    }
  }
  if (!model.adapters.empty()) load_adapters(*parts.trainer.model.torch_module(), model.adapters);
}

void make_training(const RunPlan& plan, const Json& model_config, RunParts& parts) {
  training::TrainerParts& trainer = parts.trainer;
  parts.adapters = section_of(model_config, "adapters");
  parts.trains_adapters_only = switched_on(section_of(parts.adapters, AdapterModuleMixin::kGlobalConfigKey),
                                           "train_only", "model.adapters.global_cfg");
  if (parts.trains_adapters_only) train_adapters_only(trainer.model);

  trainer.train = make_train_loader(trainer.model, model_config, plan.seed);
  trainer.validation =
      make_eval_loaders(trainer.model, Stage::kValidate, model_config, plan.seed, trainer.validation_plan);
  trainer.remake_train = [model_config, seed = plan.seed](const ModelHandle& model) {
    return make_train_loader(model, model_config, seed);
  };
  trainer.remake_validation = [model_config, seed = plan.seed](const ModelHandle& model) {
    training::EvalLoaderPlan same;
    return make_eval_loaders(model, Stage::kValidate, model_config, seed, same);
  };
  trainer.test = make_eval_loaders(trainer.model, Stage::kTest, model_config, plan.seed, trainer.test_plan);
  trainer.wiring = trainer.train ? training::record_training(trainer.model, *trainer.train)
                                 : training::record_forward(trainer.model);
  for (const auto* loaders : {&trainer.validation, &trainer.test}) {
    for (const auto& loader : *loaders) training::check_batch_ports(trainer.wiring, *loader, loader->where());
  }

  trainer.optim = model_config.value("optim", Json(nullptr));
  trainer.optim_param_groups = model_config.value("optim_param_groups", Json(nullptr));
  trainer.freeze_updates = section_of(model_config, "freeze_updates");
  training::check_freeze_updates(trainer.freeze_updates, *trainer.model.torch_module(), trainer.model.typed_children(),
                                 "model.freeze_updates");
  // NeMo's: a step whose gradients are not all finite is left out.
  trainer.skip_nan_grad = switched_on(model_config, "skip_nan_grad", "model");
  trainer.hyper_parameters = {{"cfg", model_config}};
  trainer.limits = {{"trainer", section_of(plan.config, "trainer")},
                    {"exp_manager", section_of(plan.config, "exp_manager")}};
  trainer.callbacks = make_callbacks(plan, !trainer.validation.empty());
  trainer.resume_otherwise = plan.folder.resume_otherwise;
  if (plan.trainer.fast_dev_run == 0 && !plan.trainer.barebones)
    trainer.safety_folder = plan.folder.checkpoint_dir + "/" + kSafetyFolder;
}

// The sections of a restored model's data, where the run's config has none.
Json evaluated_config(const RunPlan& plan, const ModelHandle& model) {
  if (plan.model.nemo.empty()) return model.config();
  Json config = section_of(plan.config, "model");
  const Json saved = model.config();
  for (const char* key : {"validation_ds", "test_ds", "predict_ds"}) {
    if (!config.contains(key) && saved.contains(key)) config[key] = saved[key];
  }
  return config;
}

}  // namespace

RunParts make_parts(const RunPlan& plan) {
  if (plan.threads > 0) plugins::set_thread_budget(plan.threads);
  at::set_num_threads(plugins::thread_budget());
  at::manual_seed(static_cast<uint64_t>(plan.seed));
  RunParts parts;
  parts.trainer.seed = plan.seed;
  make_model(plan, parts);
  if (!plan.evaluates) {
    make_training(plan, parts.trainer.model.config(), parts);
  } else if (*plan.evaluates == Stage::kPredict) {
    parts.trainer.predict =
        make_predict_loaders(parts.trainer.model, evaluated_config(plan, parts.trainer.model), plan.seed);
    parts.trainer.callbacks = make_named_callbacks(plan);
  } else {
    const bool test = *plan.evaluates == Stage::kTest;
    (test ? parts.trainer.test : parts.trainer.validation) =
        make_eval_loaders(parts.trainer.model, *plan.evaluates, evaluated_config(plan, parts.trainer.model), plan.seed,
                          test ? parts.trainer.test_plan : parts.trainer.validation_plan);
  }
  return parts;
}

}  // namespace fathom
