// What is settled before the first step: how many batches there are, when validation is due, which optimizers work.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/anomaly_mode.h>

#include "core/base/log.h"
#include "core/training/model_wiring.h"
#include "core/training/trainer.h"
#include "fathom/abi/manual_optimization.h"

namespace fathom::training {

void Trainer::prepare_fit() {
  if (!parts_.train)
    throw Error(Code::kFailed, "there is no training data")
        .at("model.train_ds")
        .next("give the section model.train_ds its data");
  plan_batches();

  if (options_.deterministic.is_boolean() && options_.deterministic.get<bool>())
    at::globalContext().setDeterministicAlgorithms(true, false);
  if (options_.deterministic == "warn") at::globalContext().setDeterministicAlgorithms(true, true);
  torch::autograd::AnomalyMode::set_enabled(options_.detect_anomaly);
  at::manual_seed(static_cast<uint64_t>(parts_.seed));
}

void Trainer::plan_batches() {
  run_.training_batches =
      limited_batches(options_.limit_train_batches, batches_of(*parts_.train), "trainer.limit_train_batches");
  if (!options_.overfit_batches.is_number() || options_.overfit_batches.get<double>() != 0) {
    run_.training_batches =
        limited_batches(options_.overfit_batches, batches_of(*parts_.train), "trainer.overfit_batches");
    options_.limit_train_batches = options_.limit_val_batches = options_.overfit_batches;
    // As Lightning does: overfitting to a few batches needs the same ones in every epoch.
    if (parts_.train->options().shuffle) {
      log_warning("trainer", "overfit_batches is set: model.train_ds is not shuffled");
      parts_.train->stop_shuffling();
    }
    for (const auto& loader : parts_.validation) loader->stop_shuffling();
  }
  run_.batches_per_epoch = run_.training_batches;
  run_.progress.training_batches = run_.training_batches == kUnknownBatches ? -1 : run_.training_batches;
  validates_ = false;
  for (const auto& loader : parts_.validation) {  // refuses now, not after an epoch
    const int64_t batches =
        limited_batches(options_.limit_val_batches, batches_of(*loader), "trainer.limit_val_batches");
    validates_ = validates_ || batches > 0;
  }
  if (!parts_.validation.empty()) {
    validation_plan_ = plan_validation(options_.val_check_interval, options_.check_val_every_n_epoch,
                                       run_.training_batches, "trainer");
  }
  run_.progress.has_validation = validates_;
  run_.progress.val_check_at_epoch_end = !validates_ || validation_plan_.at_epoch_end;
}

// The epoch that begins has loaders of its own, over the data as they are now. A schedule keeps the steps that were
// planned at the start, as in Lightning.
void Trainer::reload_loaders() {
  const int64_t every = options_.reload_dataloaders_every_n_epochs;
  if (every == 0 || run_.progress.epoch - loaders_of_epoch_ < every) return;
  loaders_of_epoch_ = run_.progress.epoch;
  parts_.train = parts_.remake_train(parts_.model);
  if (!parts_.train)
    throw Error(Code::kFailed, "the training data is there no more")
        .at("model.train_ds")
        .seen("epoch " + std::to_string(run_.progress.epoch));
  parts_.validation = parts_.remake_validation(parts_.model);
  check_batch_ports(parts_.wiring, *parts_.train, parts_.train->where());
  for (const auto& loader : parts_.validation) check_batch_ports(parts_.wiring, *loader, loader->where());
  plan_batches();
}

void Trainer::make_optimizers() {
  TrainingFacts facts;
  facts.max_steps = *options_.max_steps;
  facts.max_epochs = options_.max_epochs.value_or(-1);
  const bool planned = parts_.train->plans_batches();  // then they are counted, not worked out from the items
  facts.dataset_size = planned ? parts_.train->size() : parts_.train->dataset_size();
  facts.batch_size = planned ? 1 : parts_.train->options().batch_size;
  facts.drop_last = !planned && parts_.train->options().drop_last;
  facts.accumulate_grad_batches = accumulation_;
  facts.limit_train_batches = options_.limit_train_batches;
  if (const auto manual = parts_.model.query<fathom_manual_optimization_v1>(FATHOM_MANUAL_OPTIMIZATION_EXTENSION)) {
    manual_ = true;
    const auto refuse = [&](const char* key, const std::string& seen) {
      throw Error(Code::kFailed, "the model optimizes by hand, so the trainer cannot do this for it")
          .at(std::string("trainer.") + key)
          .seen(seen)
          .next("remove the key: the model's own training step does it, or does without");
    };
    if (nan_loss_ == NanLoss::kSkip) refuse("nan_loss", "skip");
    if (accumulation_.accumulates()) refuse("accumulate_grad_batches", accumulation_.text());
    if (options_.gradient_clip_val.value_or(0) > 0)
      refuse("gradient_clip_val", std::to_string(*options_.gradient_clip_val));
    const Json specs = read_json([&](const fathom_text_sink* json) { return manual->optimizers(manual.self(), json); });
    for (const Json& spec : specs) {
      optimizations_.push_back(std::make_unique<Optimization>(spec.at("section"), spec.at("config_path"), *module_,
                                                              Json(nullptr), facts, spec.at("modules")));
    }
    return;
  }
  if (parts_.optim.is_null()) {
    log_warning("trainer", "model.optim is not set: the model runs over the training data without being trained");
    return;
  }
  optimizations_.push_back(
      std::make_unique<Optimization>(parts_.optim, "model.optim", *module_, parts_.optim_param_groups, facts));
  optimization_ = optimizations_[0].get();
}

}  // namespace fathom::training
