#include "plugins/callbacks/stochastic_weight_averaging.h"

#include <algorithm>

namespace fathom::callbacks {
namespace {

std::vector<double> read_rates(const Json& given) {
  std::vector<double> rates;
  if (given.is_number()) rates.push_back(given.get<double>());
  bool sound = given.is_null() || given.is_number() || (given.is_array() && !given.empty());
  if (given.is_array()) {
    for (const Json& rate : given) {
      sound = sound && rate.is_number();
      if (sound) rates.push_back(rate.get<double>());
    }
  }
  if (sound && std::all_of(rates.begin(), rates.end(), [](double rate) { return rate > 0; })) return rates;
  throw Error(Code::kFailed, "is no learning rate")
      .at("swa_lrs")
      .seen(json_text(given))
      .expected("a positive number, or one for each parameter group");
}

void check_start(const Json& start) {
  const bool sound = start.is_number_integer() ? start >= 1 : start.is_number() && start >= 0.0 && start <= 1.0;
  if (sound) return;
  throw Error(Code::kFailed, "is no epoch to start at")
      .at("swa_epoch_start")
      .seen(json_text(start))
      .expected("an int of at least 1, or a fraction of max_epochs between 0.0 and 1.0");
}

}  // namespace

void StochasticWeightAveraging::Options::describe(OptionSet<Options>& o) {
  o("swa_lrs", &Options::swa_lrs,
    "learning rate to anneal to, or one for each parameter group; null: stay at the rates in force");
  o("swa_epoch_start", &Options::swa_epoch_start,
    "int: the epoch, counted from 1, from which on weights are averaged; float: that fraction of max_epochs");
  o("annealing_epochs", &Options::annealing_epochs, "epochs until the rate is swa_lrs; 0: at once");
  o("annealing_strategy", &Options::annealing_strategy, "cos or linear");
  o("avg_fn", &Options::avg_fn, "only null, the plain mean: a function is Python");
  o("device", &Options::device, "where the mean is kept: cpu, or null for the model's device, which is the CPU");
}

StochasticWeightAveraging::StochasticWeightAveraging(const Options& options)
    : options_(options), rates_(read_rates(options.swa_lrs)) {
  check_start(options_.swa_epoch_start);
  if (options_.annealing_epochs < 0) {
    throw Error(Code::kFailed, "is no number of epochs")
        .at("annealing_epochs")
        .seen(std::to_string(options_.annealing_epochs))
        .expected("0 or more");
  }
  if (options_.annealing_strategy != "cos" && options_.annealing_strategy != "linear") {
    throw Error(Code::kFailed, "is no way to anneal")
        .at("annealing_strategy")
        .seen(options_.annealing_strategy)
        .expected("cos or linear");
  }
  if (!options_.avg_fn.is_null()) {
    throw Error(Code::kUnavailable, "functions of Python cannot be called")
        .at("avg_fn")
        .seen(json_text(options_.avg_fn))
        .expected("null: the plain mean");
  }
  if (options_.device.value_or("cpu") != "cpu")
    throw Error(Code::kUnavailable, "no such device").at("device").seen(*options_.device).expected("cpu or null");
  on(Event::kFitStart, &StochasticWeightAveraging::start_fit);
  on(Event::kTrainEpochStart, &StochasticWeightAveraging::start_epoch);
  on(Event::kTrainEnd, &StochasticWeightAveraging::end_training);
}

Json StochasticWeightAveraging::save_state() const {
  return {{"n_averaged", averaged_}, {"latest_update_epoch", latest_}, {"initialized", initialized_}};
}

void StochasticWeightAveraging::load_state(const Json& state) {
  const bool ours = state.contains("initialized");
  if (!ours && state.contains("scheduler_state") && !state["scheduler_state"].is_null()) {
    throw Error(Code::kUnavailable, "Lightning wrote this checkpoint while weights were being averaged")
        .at("StochasticWeightAveraging")
        .next("resume from one of an earlier epoch, or go on there");
  }
  averaged_ = state.at("n_averaged").get<int64_t>();
  latest_ = state.at("latest_update_epoch").get<int64_t>();
  initialized_ = ours && state["initialized"].get<bool>();
}

void StochasticWeightAveraging::start_fit(Trainer& trainer) {
  const int64_t max_epochs = trainer.progress().max_epochs;
  if (max_epochs < 0) {
    throw Error(Code::kFailed, "averaging weights needs to know how many epochs there are")
        .at("trainer.max_epochs")
        .seen(std::to_string(max_epochs))
        .expected("a number of epochs");
  }
  trainer.keep_mean(state_key());
  if (rates_.size() > 1 && rates_.size() != trainer.group_count()) {
    throw Error(Code::kFailed, "there is not one learning rate for each parameter group")
        .at("swa_lrs")
        .seen(std::to_string(rates_.size()))
        .expected(std::to_string(trainer.group_count()));
  }
  const Json& start = options_.swa_epoch_start;
  const int64_t first = start.is_number_integer()
                            ? start.get<int64_t>()
                            : static_cast<int64_t>(static_cast<double>(max_epochs) * start.get<double>());
  first_ = std::max<int64_t>(first - 1, 0);
  last_ = max_epochs - 1;
  has_batch_norm_ = trainer.add_statistics_epoch();
}

void StochasticWeightAveraging::start_epoch(Trainer& trainer) {
  const int64_t epoch = trainer.progress().epoch;
  if (epoch >= first_ && epoch <= last_) {
    if (!initialized_) start_averaging(trainer);
    if (epoch > latest_) {
      trainer.add_to_mean(averaged_++);
      latest_ = epoch;
    }
  }
  if (epoch == last_ + 1 && averaged_ > 0) trainer.take_mean();
}

void StochasticWeightAveraging::start_averaging(Trainer& trainer) {
  initialized_ = true;
  const int64_t epoch = trainer.progress().epoch;
  if (epoch != first_) {
    log(LogLevel::kWarning, "StochasticWeightAveraging",
        "averaging starts with epoch " + std::to_string(epoch) + ", although epoch " + std::to_string(first_) +
            " was to be the first: the checkpoint that the run goes on from has no averages");
  }
  std::vector<double> rates = rates_;
  for (size_t group = rates.size(); rates_.size() < 2 && group < trainer.group_count(); ++group)
    rates.push_back(rates_.empty() ? trainer.optimizer_option(0, group, "lr") : rates_[0]);
  if (!trainer.schedule_interval().empty())
    log(LogLevel::kInfo, "StochasticWeightAveraging", "SWALR takes the place of the schedule");
  trainer.replace_schedule({{"_target_", "torch.optim.swa_utils.SWALR"},
                            {"swa_lr", rates},
                            {"anneal_epochs", options_.annealing_epochs},
                            {"anneal_strategy", options_.annealing_strategy}});
}

void StochasticWeightAveraging::end_training(Trainer& trainer) {
  const int64_t done = trainer.progress().epoch - 1;
  if (averaged_ > 0 && has_batch_norm_ && done == last_ + 1) return;
  if (averaged_ > 0 && done == last_) {
    trainer.take_mean();
    if (has_batch_norm_)
      log(LogLevel::kWarning, "StochasticWeightAveraging",
          "the run ended before the statistics of batch norm were computed for the averaged weights");
  } else {
    log(LogLevel::kWarning, "StochasticWeightAveraging",
        "the run ended before its last epoch: the weights are not averaged");
  }
}

}  // namespace fathom::callbacks
