#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>

#include "core/archive/json_pickle.h"
#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "core/training/checkpoint_content.h"
#include "fathom/capability.h"

namespace fathom::training {

using checkpoint::PickleValue;

void CheckpointContent::read_optimizers(const PickleValue& file, const std::string& path) {
  const auto& saved = file.at("optimizer_states").items();
  if (saved.empty() || optimizations.empty()) return;
  if (saved.size() != optimizations.size()) {
    throw Error(Code::kBadData, "the checkpoint is of a model with another number of optimizers")
        .at(path)
        .seen(std::to_string(saved.size()))
        .expected(std::to_string(optimizations.size()));
  }
  for (size_t i = 0; i < saved.size(); ++i) {
    const PickleValue* wrapped = saved[i].find("opt");  // in files of averages
    optimizations[i]->load_optimizer_state(wrapped != nullptr ? *wrapped : saved[i], path);
  }
}

// One for each optimizer that has a schedule, in their order.
void CheckpointContent::read_schedules(const PickleValue& file, const std::string& path) {
  const PickleValue* schedules = file.find("lr_schedulers");
  if (schedules == nullptr) return;
  size_t next = 0;
  for (const auto& optimization : optimizations) {
    if (next == schedules->items().size()) break;
    if (optimizations.size() > 1 && !optimization->has_schedule()) continue;
    optimization->load_scheduler_state(schedules->items()[next++], path);
  }
}

// From our entry in the file, or where NeMo keeps it: in the optimizer's state of the file, or of its twin. A file of
// averages is taken for the weights, as in NeMo.
void CheckpointContent::read_average(const PickleValue& file, const std::string& path) {
  constexpr std::string_view kEnding = ".ckpt", kTwinEnding = "-EMA.ckpt";
  const auto holds_averages = [&](const PickleValue& checkpoint) {
    const auto& states = checkpoint.at("optimizer_states").items();
    return states.size() == average->optimizers() &&
           std::all_of(states.begin(), states.end(), [](const PickleValue& s) { return s.find("ema") != nullptr; });
  };
  const auto restore = [&](size_t optimizer, int64_t step, const std::vector<at::Tensor>& averages,
                           const std::string& source) {
    try {
      average->restore(optimizer, step, averages);
    } catch (Error& error) {
      error.locate(source);
      throw;
    }
  };
  const auto restore_wrapped = [&](const PickleValue& checkpoint, const std::string& source) {
    const auto& states = checkpoint.at("optimizer_states").items();
    for (size_t k = 0; k < states.size(); ++k) {
      std::vector<at::Tensor> averages;
      for (const PickleValue& value : states[k].at("ema").items()) averages.push_back(checkpoint::to_tensor(value));
      restore(k, states[k].at("current_step").as_int(), averages, source);
    }
  };

  const PickleValue* fathom = file.find("fathom");
  if (const PickleValue* own = fathom != nullptr ? fathom->find("ema") : nullptr) {
    std::map<std::string, at::Tensor> by_name;
    for (auto& [name, tensor] : checkpoint::state_dict_tensors(own->at("averages"))) by_name[name] = tensor;
    const PickleValue* steps = own->find("current_steps");  // one number in files of before there could be several
    for (size_t k = 0; k < average->optimizers(); ++k) {
      std::vector<at::Tensor> averages;
      for (const auto& [name, parameter] : optimizations[k]->parameters()) {
        const auto found = by_name.find(name);
        if (found == by_name.end())
          throw Error(Code::kBadData, "the file has no average of a parameter of this model").at(path).expected(name);
        averages.push_back(found->second);
      }
      if (steps != nullptr && k >= steps->items().size())
        throw Error(Code::kBadData, "the averages are of fewer optimizers").at(path).seen(std::to_string(k));
      restore(k, steps != nullptr ? steps->items()[k].as_int() : own->at("current_step").as_int(), averages, path);
    }
    return;
  }
  if (path.ends_with(kTwinEnding)) {
    log_info("restore", "{}: averaged weights; they are the weights now, and a new average starts from them", path);
    return average->restart();
  }
  if (holds_averages(file)) return restore_wrapped(file, path);
  const std::string twin =
      path.ends_with(kEnding) ? path.substr(0, path.size() - kEnding.size()) + std::string(kTwinEnding) : "";
  if (twin.empty() || !std::filesystem::exists(twin)) {
    throw Error(Code::kNoInput, "the averaged weights to go on with are not there")
        .at(path)
        .expected(twin.empty() ? "a checkpoint of a run with an average" : twin)
        .next("set exp_manager.ema.enable=false, or start a new run from the weights with init_from_ptl_ckpt");
  }
  const PickleValue averaged = checkpoint::map_torch_file(twin);
  if (!holds_averages(averaged)) {
    throw Error(Code::kBadData, "holds no averaged weights")
        .at(twin)
        .expected("'ema' in each of " + std::to_string(average->optimizers()) + " optimizer_states");
  }
  restore_wrapped(averaged, twin);
  read_optimizers(averaged, twin);
}

void CheckpointContent::read_callbacks(const PickleValue& file, const std::string& path) {
  const PickleValue* saved = file.find("callbacks");
  if (saved == nullptr) return;
  for (const auto& callback : parts.callbacks) {
    const std::string key = callback.state_key();
    if (key.empty()) continue;
    if (const PickleValue* own = saved->find(key)) {
      callback.load_state(pickle_to_json(*own));
      if (mean != nullptr && key == mean->state_key()) mean->restore(own->at("average_model_state"), path);
    } else {
      log_warning("restore", "{}: no state of callback {}; it starts afresh", path, key);
    }
  }
}

// In the middle of an epoch the rest of it must be the same data.
void CheckpointContent::check_data(const PickleValue& own, const std::string& path) const {
  const auto must_agree = [&](const char* key, const std::string& then, const std::string& now) {
    if (then == now) return;
    throw Error(Code::kFailed, std::string("the training data is not what it was: ") + key + " differs")
        .at(path)
        .seen(now.empty() ? "none" : now)
        .expected(then.empty() ? "none" : then)
        .next("resume with the same model.train_ds, or start from the weights with init_from_ptl_ckpt");
  };
  if (own.at("phase").as_int() == static_cast<int64_t>(RunState::Phase::kAfterEpoch)) return;
  const auto number = [&](const char* key) { return std::to_string(own.at(key).as_int()); };
  must_agree("dataset_size", number("dataset_size"), std::to_string(parts.train->dataset_size()));
  must_agree("batch_size", number("batch_size"), std::to_string(parts.train->options().batch_size));
  if (const PickleValue* batching = own.find("batching"))  // not in files of before there was a choice
    must_agree("batching", batching->as_string(), parts.train->options().batching());
}

void CheckpointContent::read_own_entry(const PickleValue& own, const std::string& path) {
  check_data(own, path);
  run.load(own);
  Json routed = Json::object();
  for (const char* key : {"callback_metrics", "progress_bar_metrics", "train_metrics"})
    routed[key] = pickle_to_json(own.at(key));
  router.load_state(routed);
  if (const Json model = pickle_to_json(own.at("model")); !model.is_null())
    fathom::load_state(parts.model.object(), model);
  for (const auto& [name, metric] : metrics) {
    const PickleValue* saved = own.find("metrics") != nullptr ? own.at("metrics").find(name) : nullptr;
    if (saved == nullptr) continue;
    if (const Json sums = pickle_to_json(*saved); !sums.empty())
      metric.set_sums(options_detail::read<std::map<std::string, double>>(sums, name));
  }
  parts.loggers.load_state(pickle_to_json(own.at("loggers")));
  if (const int64_t seed = own.at("seed").as_int(); parts.seed != seed) {
    log_warning("restore", "seed is {} now and was {}; the run goes on with the old order of data only if they agree",
                parts.seed, seed);
  }
  if (const PickleValue* gradients = own.find("gradients")) {
    std::map<std::string, at::Tensor> by_name;
    for (auto& [name, gradient] : checkpoint::state_dict_tensors(*gradients)) by_name[name] = gradient;
    for (auto [name, parameter] : optimized_parameters(optimizations)) {
      if (const auto found = by_name.find(name); found != by_name.end())
        parameter.mutable_grad() = found->second.clone();
    }
  }
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  generator.set_state(checkpoint::to_tensor(own.at("random_state")));
}

void CheckpointContent::read(const PickleValue& file, const std::string& path) {
  const PickleValue* state = file.find("state_dict");
  if (state == nullptr || file.find("global_step") == nullptr) {
    throw Error(Code::kBadData, "is no training checkpoint: it has no state_dict and global_step")
        .at(path)
        .next("resume from a .ckpt of a training run; weights alone are loaded with init_from_ptl_ckpt");
  }
  if (file.find("optimizer_states") == nullptr) {
    throw Error(Code::kBadData,
                "holds only weights (it was saved with save_weights_only=true), so training cannot go on from it")
        .at(path);
  }
  load_state_dict(module, checkpoint::state_dict_tensors(*state), /*strict=*/true, path);
  const PickleValue* own = file.find("fathom");
  if (const PickleValue* schedule = own != nullptr ? own->find("schedule") : nullptr;
      schedule && !optimizations.empty())
    optimizations[0]->replace_schedule(pickle_to_json(*schedule), path);
  read_optimizers(file, path);
  if (average != nullptr) read_average(file, path);
  read_schedules(file, path);
  read_callbacks(file, path);
  if (const PickleValue* saved = file.find("MixedPrecision"); saved != nullptr && scaler != nullptr)
    scaler->load_state(*saved, path);
  run.progress.epoch = file.at("epoch").as_int();
  run.progress.global_step = run.progress.resumed_global_step = file.at("global_step").as_int();
  run.resumed_from = path;
  if (own != nullptr) return read_own_entry(*own, path);
  run.load_lightning(file);
  log_warning("restore", "{}: written by Lightning: the random state and the order of the data are not in it", path);
}

}  // namespace fathom::training
