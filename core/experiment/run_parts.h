// What a planned run works on, made from its plan: the model with its first weights, data, callbacks. Nothing is
// written.
#pragma once

#include "core/experiment/run_plan.h"
#include "core/models/nemo_file.h"
#include "core/training/trainer.h"

namespace fathom {

struct RunParts {
  std::shared_ptr<TemporaryFolder> artifacts;  // of a restored model, which reads them for as long as it lives
  training::TrainerParts trainer;              // without loggers: they write
  Json adapters = Json::object();              // model.adapters
  bool trains_adapters_only = false;
};

// The errors of every component, with the key of its section; data that does not fit the model.
RunParts make_parts(const RunPlan& plan);

// run_data.cc: the loaders of model.train_ds (null without data), and of model.validation_ds or model.test_ds with the
// names of their metrics (none without data).
std::unique_ptr<DataLoader> make_train_loader(const ModelHandle& model, const Json& model_config, int64_t seed);
std::vector<std::unique_ptr<DataLoader>> make_eval_loaders(const ModelHandle& model, Stage stage,
                                                           const Json& model_config, int64_t seed,
                                                           training::EvalLoaderPlan& plan);

// Those of model.predict_ds, which is one section or a list of them. Throws Error(kFailed) without any.
std::vector<std::unique_ptr<DataLoader>> make_predict_loaders(const ModelHandle& model, const Json& model_config,
                                                              int64_t seed);

// run_listeners.cc: what the config names, and what trainer and exp_manager add to it.
training::LoggerGroup make_loggers(const RunPlan& plan);
std::vector<CallbackHandle> make_callbacks(const RunPlan& plan, bool has_validation);
// Those that trainer.callbacks names, for a pass that writes no run: their folder is the working one.
std::vector<CallbackHandle> make_named_callbacks(const RunPlan& plan);

}  // namespace fathom
