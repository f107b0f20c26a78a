// Writing and reading the whole state of a training run: Lightning's checkpoint layout, so that Python reads it, plus
// one entry of our own ("fathom") with what Lightning leaves out: random state, position in the data, metrics in
// progress.
#include <ATen/ATen.h>

#include <filesystem>

#include "core/base/log.h"
#include "core/checkpoint/json_pickle.h"
#include "core/checkpoint/torch_file.h"
#include "core/training/trainer.h"

namespace fathom::training {
namespace {

using checkpoint::PickleList;
using checkpoint::PickleValue;

constexpr const char* kLayoutVersion = "2.4.0";  // Lightning's layout that is written

PickleValue dict_of(std::initializer_list<std::pair<const char*, PickleValue>> entries) {
  PickleValue out = PickleValue::dict();
  for (const auto& [key, value] : entries) out.mutable_dict().set(key, value);
  return out;
}

PickleValue counters(int64_t ready, int64_t completed, bool with_started = true) {
  PickleValue out = dict_of({{"ready", ready}, {"completed", completed}});
  if (with_started) {
    out.mutable_dict().set("started", ready);
    out.mutable_dict().set("processed", completed);
  }
  return out;
}

PickleValue progress(PickleValue total, PickleValue current) {
  return dict_of({{"total", total}, {"current", current}});
}

PickleValue eval_loop_state() {
  PickleValue batches = progress(counters(0, 0), counters(0, 0));
  batches.mutable_dict().set("is_last_batch", false);
  return dict_of({{"state_dict", PickleValue::dict()}, {"batch_progress", batches}});
}

// Lightning's loops, so that its Trainer continues where this one stood.
// `manual`: the model stepped its optimizers itself, which Lightning counts apart.
PickleValue lightning_loops(const fathom_progress& p, int64_t batches_seen, int64_t batches_in_epoch,
                            int64_t steps_in_epoch, bool epoch_done, bool manual) {
  PickleValue batches = progress(counters(batches_seen, batches_seen), counters(batches_in_epoch, batches_in_epoch));
  batches.mutable_dict().set("is_last_batch", batches_in_epoch == p.training_batches);
  const int64_t loop_steps = manual ? 0 : p.global_step, loop_current = manual ? 0 : steps_in_epoch;
  const PickleValue steps =
      progress(counters(loop_steps, loop_steps, false), counters(loop_current, loop_current, false));
  PickleValue zero_total = counters(loop_steps, loop_steps, false),
              zero_current = counters(loop_current, loop_current, false);
  zero_total.mutable_dict().set("started", loop_steps);
  zero_current.mutable_dict().set("started", loop_current);
  const int64_t own_steps = manual ? p.global_step : 0;
  const PickleValue manual_steps =
      progress(counters(own_steps, own_steps, false), counters(own_steps, own_steps, false));
  PickleValue val = eval_loop_state();
  const int64_t epochs_done = p.epoch + (epoch_done ? 1 : 0);
  PickleValue epoch_counters = counters(p.epoch + 1, p.epoch);
  epoch_counters.mutable_dict().set("processed", epochs_done);
  PickleValue fit = dict_of({
      {"state_dict", PickleValue::dict()},
      {"epoch_loop.state_dict", dict_of({{"_batches_that_stepped", p.batches_that_stepped}})},
      {"epoch_loop.batch_progress", batches},
      {"epoch_loop.scheduler_progress", steps},
      {"epoch_loop.automatic_optimization.state_dict", PickleValue::dict()},
      {"epoch_loop.automatic_optimization.optim_progress",
       dict_of({{"optimizer", dict_of({{"step", steps}, {"zero_grad", progress(zero_total, zero_current)}})}})},
      {"epoch_loop.manual_optimization.state_dict", PickleValue::dict()},
      {"epoch_loop.manual_optimization.optim_step_progress", manual_steps},
      {"epoch_loop.val_loop.state_dict", PickleValue::dict()},
      {"epoch_loop.val_loop.batch_progress", val.at("batch_progress")},
      {"epoch_progress", progress(epoch_counters, epoch_counters)},
  });
  const PickleValue predict = eval_loop_state();
  return dict_of({{"fit_loop", fit},
                  {"validate_loop", eval_loop_state()},
                  {"test_loop", eval_loop_state()},
                  {"predict_loop", predict}});
}

}  // namespace

PickleValue Trainer::checkpoint_value(bool weights_only) const {
  PickleValue out = PickleValue::dict();
  auto& dict = out.mutable_dict();
  const bool epoch_done = phase_ == Phase::kAfterEpoch;
  const int64_t batches_in_epoch =
      progress_.batch_idx + (phase_ == Phase::kAfterBatch || phase_ == Phase::kAfterValidation ? 1 : 0);
  dict.set("epoch", progress_.epoch);
  dict.set("global_step", progress_.global_step);
  dict.set("pytorch-lightning_version", kLayoutVersion);
  dict.set("state_dict", checkpoint::state_dict_value(state_dict(*module_)));
  const int64_t steps_in_epoch = (batches_in_epoch + accumulate_ - 1) / accumulate_;
  dict.set("loops", lightning_loops(progress_, batches_seen_, batches_in_epoch, steps_in_epoch, epoch_done, manual_));
  if (!weights_only) {
    PickleValue callbacks = PickleValue::dict();
    for (const auto& callback : parts_.callbacks) {
      const std::string key = callback.state_key();
      if (key.empty()) continue;
      if (callbacks.find(key) != nullptr) {
        throw Error(Code::kFailed, "two callbacks keep their state under one key")
            .seen(key)
            .next("give them different options");
      }
      callbacks.mutable_dict().set(key, json_to_pickle(callback.save_state()));
    }
    dict.set("callbacks", callbacks);
    PickleValue optimizers = PickleValue::list(), schedulers = PickleValue::list();
    for (const auto& optimization : optimizations_) {
      optimizers.mutable_items().push_back(average_ ? optimizer_value() : optimization->optimizer_state());
      if (const PickleValue schedule = optimization->scheduler_state(); !schedule.is_none())
        schedulers.mutable_items().push_back(schedule);
    }
    dict.set("optimizer_states", optimizers);
    dict.set("lr_schedulers", schedulers);
    if (scaler_) dict.set("MixedPrecision", scaler_->state());
  }
  dict.set("hparams_name", "cfg");
  dict.set("hyper_parameters",
           json_to_pickle(parts_.hyper_parameters.is_null() ? Json::object() : parts_.hyper_parameters));
  if (weights_only) return out;

  Json own = {{"layout", 1},
              {"phase", static_cast<int>(phase_)},
              {"batch_idx", progress_.batch_idx},
              {"batches_seen", batches_seen_},
              {"batches_that_stepped", progress_.batches_that_stepped},
              {"training_batches", training_batches_},
              {"dataset_size", parts_.train ? parts_.train->dataset_size() : 0},
              {"batch_size", parts_.train ? parts_.train->options().batch_size : 0},
              {"seed", parts_.seed},
              {"should_stop", progress_.should_stop},
              {"stop_reason", stop_reason_},
              {"skipped_steps", skipped_steps_},
              {"seconds",
               earlier_seconds_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count()},
              {"eval_batches_logged", {eval_batches_logged_[0], eval_batches_logged_[1]}}};
  router_.save_state(own);
  own["model"] = fathom::save_state(parts_.model.object());
  Json& metrics = own["metrics"] = Json::object();
  for (const auto& [name, metric] : metrics_) metrics[name] = options_detail::dump(metric.sums());
  Json loggers = Json::array();
  for (const auto& logger : parts_.loggers)
    loggers.push_back({{"name", logger.name()}, {"state", logger.save_state()}});
  own["loggers"] = std::move(loggers);
  PickleValue fathom = json_to_pickle(own);
  fathom.mutable_dict().set("random_state",
                            checkpoint::from_tensor(at::globalContext().defaultGenerator(at::kCPU).get_state()));
  // The averages are in this file as well as in its twin, so that whenever a run dies between the two it can go on.
  if (average_ && !average_->is_swapped()) {
    NamedTensors averages;
    for (size_t i = 0; i < average_->averages().size(); ++i)
      averages.emplace_back(optimization_->parameters()[i].first, average_->averages()[i]);
    fathom.mutable_dict().set("ema", dict_of({{"current_step", average_->current_step()},
                                              {"averages", checkpoint::state_dict_value(averages)}}));
  }
  // In the middle of an accumulation window the gradients so far are state too; and whether a model that optimizes by
  // hand is in one, only it knows.
  if (manual_ || (optimization_ && batches_in_epoch % accumulate_ != 0 && batches_in_epoch < training_batches_)) {
    NamedTensors gradients;
    for (const auto& [name, parameter] : optimized_parameters()) {
      if (parameter.grad().defined()) gradients.emplace_back(name, parameter.grad());
    }
    fathom.mutable_dict().set("gradients", checkpoint::state_dict_value(gradients));
  }
  dict.set("fathom", fathom);
  return out;
}

// The optimizer's state as it is; in a file of averages as NeMo's EMA wraps it.
PickleValue Trainer::optimizer_value() const {
  PickleValue state = optimization_->optimizer_state();
  if (!average_ || !average_->is_swapped()) return state;
  PickleValue averages = PickleValue::list();
  for (const at::Tensor& average : average_->averages())
    averages.mutable_items().push_back(checkpoint::from_tensor(average.detach()));
  return dict_of({{"opt", state},
                  {"ema", averages},
                  {"current_step", average_->current_step()},
                  {"decay", average_->decay()},
                  {"every_n_steps", average_->every_n_steps()}});
}

void Trainer::save_checkpoint(const std::string& path, int32_t flags) {
  const bool of_average = (flags & FATHOM_SAVE_AVERAGE) != 0;
  if (of_average && !average_)
    throw Error(Code::kFailed, "this run keeps no average of its weights").at(path).next("set exp_manager.ema.enable");
  const UseAverages use(average_.get(), of_average);
  // The loggers' files must not be behind the checkpoint that counts their rows.
  for (const auto& logger : parts_.loggers) logger.save();
  checkpoint::save_torch_file(path, checkpoint_value((flags & FATHOM_SAVE_WEIGHTS_ONLY) != 0));
  saved_.push_back(path);
}

Json Trainer::best_checkpoint() const {
  for (const auto& callback : parts_.callbacks) {
    if (callback.order() != Order::kCheckpoint) continue;
    const Json state = callback.save_state();
    if (!state.is_object() || !state.contains("best_model_path") || !state["best_model_path"].is_string()) continue;
    const std::string path = state["best_model_path"];
    if (path.empty() || !state.contains("best_model_score") || !state["best_model_score"].is_number()) continue;
    return {{"path", path}, {"score", state["best_model_score"]}};
  }
  return Json::object();
}

void Trainer::load_weights(const std::string& path, bool strict) {
  const PickleValue file = checkpoint::load_torch_file(path);
  const PickleValue* state = file.find("state_dict");
  load_state_dict(*module_, checkpoint::state_dict_tensors(state != nullptr ? *state : file), strict, path);
}

void Trainer::load_optimizers(const PickleValue& file, const std::string& path) {
  const auto& optimizers = file.at("optimizer_states").items();
  if (optimizers.empty() || optimizations_.empty()) return;
  if (optimizers.size() != optimizations_.size()) {
    throw Error(Code::kBadData, "the checkpoint is of a model with another number of optimizers")
        .at(path)
        .seen(std::to_string(optimizers.size()))
        .expected(std::to_string(optimizations_.size()));
  }
  for (size_t i = 0; i < optimizers.size(); ++i) {
    const PickleValue* wrapped = optimizers[i].find("opt");  // in files of averages
    optimizations_[i]->load_optimizer_state(wrapped != nullptr ? *wrapped : optimizers[i], path);
  }
}

// From our entry in the file, or where NeMo keeps it: in the optimizer's state of the file, or of its twin. A file of
// averages is taken for the weights, as in NeMo.
void Trainer::load_average(const PickleValue& file, const std::string& path) {
  constexpr std::string_view kEnding = ".ckpt", kTwinEnding = "-EMA.ckpt";
  const auto wrapped = [](const PickleValue& checkpoint) -> const PickleValue* {
    const auto& optimizers = checkpoint.at("optimizer_states").items();
    return !optimizers.empty() && optimizers[0].find("ema") != nullptr ? &optimizers[0] : nullptr;
  };
  const auto restore = [&](int64_t step, const std::vector<at::Tensor>& averages, const std::string& source) {
    try {
      average_->restore(step, averages);
    } catch (Error& error) {
      error.locate(source);
      throw;
    }
  };
  const auto restore_wrapped = [&](const PickleValue& state, const std::string& source) {
    std::vector<at::Tensor> averages;
    for (const PickleValue& value : state.at("ema").items()) averages.push_back(checkpoint::to_tensor(value));
    restore(state.at("current_step").as_int(), averages, source);
  };

  const PickleValue* fathom = file.find("fathom");
  if (const PickleValue* own = fathom != nullptr ? fathom->find("ema") : nullptr) {
    std::map<std::string, at::Tensor> by_name;
    for (auto& [name, tensor] : checkpoint::state_dict_tensors(own->at("averages"))) by_name[name] = tensor;
    std::vector<at::Tensor> averages;
    for (const auto& [name, parameter] : optimization_->parameters()) {
      const auto found = by_name.find(name);
      if (found == by_name.end())
        throw Error(Code::kBadData, "the file has no average of a parameter of this model").at(path).expected(name);
      averages.push_back(found->second);
    }
    return restore(own->at("current_step").as_int(), averages, path);
  }
  if (path.ends_with(kTwinEnding)) {
    log_info("restore", "{}: averaged weights; they are the weights now, and a new average starts from them", path);
    return average_->restart();
  }
  if (const PickleValue* state = wrapped(file)) return restore_wrapped(*state, path);
  const std::string twin =
      path.ends_with(kEnding) ? path.substr(0, path.size() - kEnding.size()) + std::string(kTwinEnding) : "";
  if (twin.empty() || !std::filesystem::exists(twin)) {
    throw Error(Code::kNoInput, "the averaged weights to go on with are not there")
        .at(path)
        .expected(twin.empty() ? "a checkpoint of a run with an average" : twin)
        .next("set exp_manager.ema.enable=false, or start a new run from the weights with init_from_ptl_ckpt");
  }
  const PickleValue averaged = checkpoint::load_torch_file(twin);
  const PickleValue* state = wrapped(averaged);
  if (state == nullptr)
    throw Error(Code::kBadData, "holds no averaged weights").at(twin).expected("optimizer_states[0]['ema']");
  restore_wrapped(*state, twin);
  load_optimizers(averaged, twin);
}

void Trainer::load_checkpoint(const std::string& path) {
  const PickleValue file = checkpoint::load_torch_file(path);
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
  load_state_dict(*module_, checkpoint::state_dict_tensors(*state), /*strict=*/true, path);
  load_optimizers(file, path);
  if (average_) load_average(file, path);
  if (const PickleValue* schedules = file.find("lr_schedulers"); schedules != nullptr) {
    // One for each optimizer that has a schedule, in their order.
    size_t next = 0;
    for (const auto& optimization : optimizations_) {
      if (next == schedules->items().size()) break;
      if (optimizations_.size() > 1 && !optimization->has_schedule()) continue;
      optimization->load_scheduler_state(schedules->items()[next++], path);
    }
  }
  if (const PickleValue* saved = file.find("callbacks"); saved != nullptr) {
    for (const auto& callback : parts_.callbacks) {
      const std::string key = callback.state_key();
      if (key.empty()) continue;
      if (const PickleValue* own = saved->find(key))
        callback.load_state(pickle_to_json(*own));
      else
        log_warning("restore", "{}: no state of callback {}; it starts afresh", path, key);
    }
  }
  if (const PickleValue* saved = file.find("MixedPrecision"); saved != nullptr && scaler_)
    scaler_->load_state(*saved, path);
  progress_.epoch = file.at("epoch").as_int();
  progress_.global_step = progress_.resumed_global_step = file.at("global_step").as_int();
  resumed_from_ = path;

  const PickleValue* fathom = file.find("fathom");
  if (fathom == nullptr) {
    // Lightning's own checkpoint: it knows the counters, not the position in the data.
    progress_.batches_that_stepped = progress_.global_step;
    const PickleValue& loop = file.at("loops").at("fit_loop");
    const int64_t done = loop.at("epoch_loop.batch_progress").at("current").at("processed").as_int();
    batches_seen_ = loop.at("epoch_loop.batch_progress").at("total").at("processed").as_int();
    progress_.batch_idx = done >= training_batches_ ? 0 : done;
    if (progress_.batch_idx == 0 && done > 0) ++progress_.epoch;
    log_warning("restore", "{}: written by Lightning: the random state and the order of the data are not in it", path);
    return;
  }
  const auto integer = [&](const char* key) { return fathom->at(key).as_int(); };
  const auto must_agree = [&](const char* key, int64_t now) {
    if (integer(key) == now) return;
    throw Error(Code::kFailed, std::string("the training data is not what it was: ") + key + " differs")
        .at(path)
        .seen(std::to_string(now))
        .expected(std::to_string(integer(key)))
        .next("resume with the same model.train_ds, or start from the weights with init_from_ptl_ckpt");
  };
  const bool within_epoch = integer("phase") != static_cast<int64_t>(Phase::kAfterEpoch);
  if (within_epoch) {
    must_agree("dataset_size", parts_.train->dataset_size());
    must_agree("batch_size", parts_.train->options().batch_size);
  }
  progress_.batch_idx = integer("batch_idx");
  // Data that does not know its length knew at its last batch, after which something may have been due.
  if (batches_per_epoch_ == kUnknownBatches) training_batches_ = integer("training_batches");
  progress_.batches_that_stepped = integer("batches_that_stepped");
  batches_seen_ = integer("batches_seen");
  if (fathom->find("skipped_steps") != nullptr) skipped_steps_ = integer("skipped_steps");
  progress_.should_stop = static_cast<int32_t>(integer("should_stop"));
  stop_reason_ = fathom->at("stop_reason").as_string();
  earlier_seconds_ = fathom->at("seconds").as_double();
  for (int i = 0; i < 2; ++i)
    eval_batches_logged_[i] = fathom->at("eval_batches_logged").items()[static_cast<size_t>(i)].as_int();
  Json routed = Json::object();
  for (const char* key : {"callback_metrics", "progress_bar_metrics", "train_metrics"})
    routed[key] = pickle_to_json(fathom->at(key));
  router_.load_state(routed);
  if (const Json model = pickle_to_json(fathom->at("model")); !model.is_null())
    fathom::load_state(parts_.model.object(), model);
  for (const auto& [name, metric] : metrics_) {
    const PickleValue* saved = fathom->find("metrics") != nullptr ? fathom->at("metrics").find(name) : nullptr;
    if (saved == nullptr) continue;
    if (const Json sums = pickle_to_json(*saved); !sums.empty())
      metric.set_sums(options_detail::read<std::map<std::string, double>>(sums, name));
  }
  const auto& loggers = fathom->at("loggers").items();
  for (size_t i = 0; i < parts_.loggers.size() && i < loggers.size(); ++i) {
    if (loggers[i].at("name").as_string() != parts_.loggers[i].name()) continue;
    if (const Json logger = pickle_to_json(loggers[i].at("state")); !logger.is_null())
      parts_.loggers[i].load_state(logger);
  }
  if (parts_.seed != integer("seed")) {
    log_warning("restore", "seed is {} now and was {}; the run goes on with the old order of data only if they agree",
                parts_.seed, integer("seed"));
  }
  if (const PickleValue* gradients = fathom->find("gradients")) {
    std::map<std::string, at::Tensor> by_name;
    for (auto& [name, gradient] : checkpoint::state_dict_tensors(*gradients)) by_name[name] = gradient;
    for (auto [name, parameter] : optimized_parameters()) {
      if (const auto found = by_name.find(name); found != by_name.end())
        parameter.mutable_grad() = found->second.clone();
    }
  }
  phase_ = static_cast<Phase>(integer("phase"));
  if (phase_ == Phase::kAfterEpoch) {
    ++progress_.epoch;
    progress_.batch_idx = 0;
    phase_ = Phase::kNextBatch;
  }
  max_reached_ = *options_.max_steps >= 0 && progress_.global_step >= *options_.max_steps;
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  generator.set_state(checkpoint::to_tensor(fathom->at("random_state")));
  log_info("restore", "resumed from {} (epoch {}, global step {})", path, progress_.epoch, progress_.global_step);
}

}  // namespace fathom::training
