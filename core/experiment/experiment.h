// One run: model, data, loggers, callbacks and trainer put together from a config.
#pragma once

#include "core/experiment/engine.h"
#include "core/experiment/exp_manager.h"
#include "core/experiment/nemo_file.h"
#include "core/training/trainer.h"

namespace fathom {

// Makes the model of a `model` section; its class is model._target_, model.target or the top-level target.
ModelHandle make_model(const Json& config);

// Loaders of model.validation_ds or model.test_ds, and how their metrics are called. None without data.
std::vector<std::unique_ptr<DataLoader>> make_eval_loaders(const ModelHandle& model, Stage stage,
                                                           const Json& model_config, uint64_t seed,
                                                           training::EvalLoaderPlan& plan);

void run_training(const RunRequest& request, RunSummary& summary);
RunSummary run_evaluation(const RunRequest& request, Stage stage);

// The run's seed: `seed` in the config, else PL_GLOBAL_SEED, else 0.
int64_t run_seed(const Json& config);

}  // namespace fathom
