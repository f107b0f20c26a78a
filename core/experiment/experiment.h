// One run: model, data, loggers, callbacks and trainer put together from a config.
#pragma once

#include "core/experiment/engine.h"
#include "core/experiment/exp_manager.h"
#include "core/experiment/nemo_file.h"
#include "core/training/trainer.h"

namespace fathom {

// Makes the model of a `model` section; its class is model._target_, model.target or the top-level target.
ModelHandle make_model(const Json& config);

// Loaders of a data section: one, or one for each of a list of manifests (validation and test). Empty without a section
// or without data in it.
std::vector<std::unique_ptr<DataLoader>> make_loaders(const ModelHandle& model, Stage stage, const Json& model_config,
                                                      const std::string& key, uint64_t seed, bool several);

void run_training(const RunRequest& request, RunSummary& summary);
RunSummary run_evaluation(const RunRequest& request, Stage stage);

// The run's seed: `seed` in the config, else PL_GLOBAL_SEED, else 0.
int64_t run_seed(const Json& config);

}  // namespace fathom
