// What a trainer works on, made by whoever starts a run.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/data/data_loader.h"
#include "core/distributed/metric_reduction.h"
#include "core/planning/batch_limits.h"
#include "core/planning/eval_loaders.h"
#include "core/training/logger_group.h"
#include "core/typing/wiring.h"
#include "fathom/callback.h"
#include "fathom/model.h"

namespace fathom::training {

// What a trainer works on. Loaders may be absent for what is not run.
struct TrainerParts {
  ModelHandle model;
  std::unique_ptr<DataLoader> train;
  std::vector<std::unique_ptr<DataLoader>> validation, test, predict;
  // Both anew, from the data as they are then; for trainer.reload_dataloaders_every_n_epochs.
  std::function<std::unique_ptr<DataLoader>(const ModelHandle&)> remake_train;
  std::function<std::vector<std::unique_ptr<DataLoader>>(const ModelHandle&)> remake_validation;
  EvalLoaderPlan validation_plan, test_plan;  // the names of several loaders' metrics
  typing::Wiring wiring;                      // of the model (model_wiring.h), for the model summary
  LoggerGroup loggers;
  std::vector<CallbackHandle> callbacks;
  Json optim = nullptr;  // model.optim, resolved; null: the model runs over the data without being trained
  Json optim_param_groups = nullptr;
  bool skip_nan_grad = false;       // model.skip_nan_grad: no optimizer step on gradients that are not finite
  Json freeze_updates = nullptr;    // model.freeze_updates: which modules are frozen in which steps
  Json hyper_parameters = nullptr;  // goes into checkpoints as {"cfg": …}
  int64_t seed = 0;
  Json limits = nullptr;                      // the sections of the config that say when the run ends, see RunState
  std::string safety_folder;                  // of trainer.ckpt_every; "": none are written
  std::vector<std::string> resume_otherwise;  // checkpoints to take where the one to resume from cannot be read
  std::function<void(const std::string& path)> save_nemo;  // how to write the model as a .nemo; may be set later
};

// Of an epoch; kUnknownBatches where the data does not know.
inline int64_t batches_of(const DataLoader& loader) { return loader.size() < 0 ? kUnknownBatches : loader.size(); }

}  // namespace fathom::training
