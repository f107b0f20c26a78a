#include <ATen/ATen.h>

#include <set>

#include "core/archive/json_pickle.h"
#include "core/checkpoint/torch_file.h"
#include "core/training/checkpoint_content.h"
#include "core/training/lightning_loops.h"
#include "fathom/capability.h"

namespace fathom::training {
namespace {

using checkpoint::json_to_pickle;
using checkpoint::PickleValue;

constexpr const char* kLayoutVersion = "2.4.0";  // Lightning's layout that is written

}  // namespace

void check_state_keys(const std::vector<CallbackHandle>& callbacks) {
  std::set<std::string> keys;
  for (const auto& callback : callbacks) {
    const std::string key = callback.state_key();
    if (key.empty() || keys.insert(key).second) continue;
    throw Error(Code::kFailed, "two callbacks would keep their state under one key in checkpoints")
        .seen(key)
        .next("give them different options, or remove one");
  }
}

// The optimizer's state as it is; in a file of averages as NeMo's EMA wraps it.
PickleValue CheckpointContent::optimizer_value(size_t optimizer) const {
  PickleValue state = optimizations[optimizer]->optimizer_state();
  if (average == nullptr || !average->is_swapped()) return state;
  PickleValue averages = PickleValue::list();
  for (const at::Tensor& one : average->averages(optimizer))
    averages.mutable_items().push_back(checkpoint::from_tensor(one.detach()));
  return PickleValue::dict({{"opt", state},
                            {"ema", averages},
                            {"current_step", average->current_step(optimizer)},
                            {"decay", average->decay()},
                            {"every_n_steps", average->every_n_steps()}});
}

// A mean of weights, and the schedule that came with it, stand in the state of the callback that asked for them.
PickleValue CheckpointContent::callback_states() const {
  PickleValue out = PickleValue::dict();
  for (const auto& callback : parts.callbacks) {
    const std::string key = callback.state_key();
    if (key.empty()) continue;
    PickleValue state = json_to_pickle(callback.save_state());
    if (mean != nullptr && key == mean->state_key()) {
      const bool replaced = !optimizations.empty() && !optimizations[0]->replacement().is_null();
      state.mutable_dict().set("scheduler_state", replaced ? optimizations[0]->scheduler_state() : PickleValue());
      state.mutable_dict().set("average_model_state", mean->state(module));
    }
    out.mutable_dict().set(key, std::move(state));
  }
  return out;
}

PickleValue CheckpointContent::own_entry() const {
  Json own = {{"layout", 1},
              {"dataset_size", parts.train ? parts.train->dataset_size() : 0},
              {"batch_size", parts.train ? parts.train->options().batch_size : 0},
              {"batching", parts.train ? parts.train->options().batching() : ""},
              {"seed", parts.seed},
              {"model", save_state(parts.model.object())}};
  if (!optimizations.empty() && !optimizations[0]->replacement().is_null())
    own["schedule"] = optimizations[0]->replacement();
  run.save(own);
  router.save_state(own);
  Json& sums = own["metrics"] = Json::object();
  for (const auto& [name, metric] : metrics) sums[name] = options_detail::dump(metric.sums());
  own["loggers"] = parts.loggers.save_state();

  PickleValue out = json_to_pickle(own);
  auto& dict = out.mutable_dict();
  dict.set("random_state", checkpoint::from_tensor(at::globalContext().defaultGenerator(at::kCPU).get_state()));
  // The averages are in this file as well as in its twin, so that whenever a run dies between the two it can go on.
  if (average != nullptr && !average->is_swapped()) {
    NamedTensors averages;
    PickleValue steps = PickleValue::list();
    for (size_t k = 0; k < average->optimizers(); ++k) {
      for (size_t i = 0; i < average->averages(k).size(); ++i)
        averages.emplace_back(optimizations[k]->parameters()[i].first, average->averages(k)[i]);
      steps.mutable_items().push_back(average->current_step(k));
    }
    dict.set("ema",
             PickleValue::dict({{"current_steps", steps}, {"averages", checkpoint::state_dict_value(averages)}}));
  }
  // In the middle of an accumulation window the gradients so far are state too; and whether a model that optimizes by
  // hand is in one, only it knows.
  const int64_t done = run.batches_in_epoch();
  if (manual || (!optimizations.empty() && done % accumulate != 0 && done < run.training_batches)) {
    NamedTensors gradients;
    for (const auto& [name, parameter] : optimized_parameters(optimizations)) {
      if (parameter.grad().defined()) gradients.emplace_back(name, parameter.grad());
    }
    dict.set("gradients", checkpoint::state_dict_value(gradients));
  }
  return out;
}

PickleValue CheckpointContent::write(bool weights_only) const {
  PickleValue out = PickleValue::dict();
  auto& dict = out.mutable_dict();
  dict.set("epoch", run.progress.epoch);
  dict.set("global_step", run.progress.global_step);
  dict.set("pytorch-lightning_version", kLayoutVersion);
  dict.set("state_dict", checkpoint::state_dict_value(state_dict(module)));
  dict.set("loops", lightning_loops(run, accumulate, manual));
  if (!weights_only) {
    dict.set("callbacks", callback_states());
    PickleValue optimizers = PickleValue::list(), schedules = PickleValue::list();
    for (size_t i = 0; i < optimizations.size(); ++i) {
      optimizers.mutable_items().push_back(optimizer_value(i));
      if (const PickleValue schedule = optimizations[i]->scheduler_state(); !schedule.is_none())
        schedules.mutable_items().push_back(schedule);
    }
    dict.set("optimizer_states", optimizers);
    dict.set("lr_schedulers", schedules);
    if (scaler != nullptr) dict.set("MixedPrecision", scaler->state());
  }
  dict.set("hparams_name", "cfg");
  dict.set("hyper_parameters",
           json_to_pickle(parts.hyper_parameters.is_null() ? Json::object() : parts.hyper_parameters));
  if (!weights_only) dict.set("fathom", own_entry());
  return out;
}

}  // namespace fathom::training
