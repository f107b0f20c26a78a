// What callbacks plan for a run and change in it: windows of accumulation, a mean of the weights with an epoch for the
// statistics of batch norm, another schedule, rows of their own, and ways to stop.
#include <ATen/ATen.h>

#include <cmath>

#include "core/base/interrupt.h"
#include "core/training/trainer_table.h"

namespace fathom::training {

void Trainer::plan_accumulation(AccumulationPlan plan) {
  if (!fitting_) return;  // an evaluation accumulates nothing
  const std::string key = "trainer.accumulate_grad_batches";
  if (accumulation_planned_)
    throw Error(Code::kFailed, "two callbacks plan how many batches make an optimizer step")
        .at(key)
        .seen(accumulation_.text() + " and " + plan.text())
        .next("remove one of them; a map in " + key + " is one, too");
  if (accumulation_.accumulates())
    throw Error(Code::kFailed, "a callback plans how many batches make an optimizer step, and so does the trainer")
        .at(key)
        .seen(json_text(options_.accumulate_grad_batches) + ", and the callback's " + plan.text())
        .next("remove " + key + ", or the callback");
  if (!optimizations_.empty())
    throw Error(Code::kInternal, "the windows of accumulation are planned at setup, before the optimizers are made");
  accumulation_ = std::move(plan);
  accumulation_planned_ = true;
  accumulate_ = accumulation_.at(0);
}

Optimization& Trainer::only_optimization(const char* what) {
  if (optimization_ != nullptr) return *optimization_;
  throw Error(Code::kFailed, std::string(what) + " needs a model with one optimizer that the trainer steps")
      .seen(manual_ ? "a model that steps " + std::to_string(optimizations_.size()) + " optimizers itself"
                    : "no optimizer")
      .next(manual_ ? "remove the callback" : "set model.optim, or remove the callback");
}

void Trainer::keep_mean(const std::string& state_key) {
  only_optimization("a mean of weights");
  if (mean_) throw Error(Code::kFailed, "two callbacks keep a mean of the weights").next("remove one of them");
  mean_ = std::make_unique<WeightMean>(state_key, *module_);
}

bool Trainer::add_statistics_epoch() {
  if (!NormStatistics::are_in(*module_)) return false;
  only_optimization("an epoch for the statistics of batch norm");
  if (last_epoch() < 0) {
    throw Error(Code::kFailed, "an epoch is added after the last one, and there is none")
        .at("trainer.max_epochs")
        .seen(options_.max_epochs ? std::to_string(*options_.max_epochs) : "null")
        .expected("a number of epochs");
  }
  if (!statistics_) ++run_.progress.max_epochs;
  statistics_ = std::make_unique<NormStatistics>(*module_);
  return true;
}

int64_t Trainer::last_epoch() const {
  const int64_t configured = options_.max_epochs.value_or(-1);
  return configured >= 0 && statistics_ ? configured + 1 : configured;
}

void Trainer::enter_epoch(bool goes_on) {
  accumulate_ = accumulation_.at(run_.progress.epoch);
  if (!statistics_ || run_.progress.epoch != last_epoch() - 1) return;
  optimization_->zero_grad();  // the step that closes the epoch finds none
  statistics_->begin(goes_on);
}

// Nothing is learnt. The epoch is closed by a step that changes nothing but the count, as in Lightning.
void Trainer::renew_statistics(const Values& batch) {
  {
    const at::NoGradGuard no_grad;
    const at::Tensor loss = training_loss(batch);
    last_loss_.set(loss);
  }
  gradient_norm_known_ = false;
  run_.optimizer_stepped = run_.progress.batch_idx + 1 == run_.training_batches;
  if (run_.optimizer_stepped) step_optimizer();
  finish_batch();
}

// The functions of the table; `ctx` is the Trainer.
struct TrainerPlans {
  static Trainer& trainer(void* ctx) { return *static_cast<Trainer*>(ctx); }

  static fathom_status plan_accumulation(void* ctx, const int64_t* epochs, const int64_t* batches, size_t count) {
    return guard([&] {
      std::map<int64_t, int64_t> plan;
      for (size_t i = 0; i < count; ++i) plan[epochs[i]] = batches[i];
      trainer(ctx).plan_accumulation(AccumulationPlan(std::move(plan)));
    });
  }
  static WeightMean& mean(void* ctx) {
    if (trainer(ctx).mean_) return *trainer(ctx).mean_;
    throw Error(Code::kFailed, "this run keeps no mean of its weights").next("ask for one at the start of fit");
  }
  static fathom_status replace_schedule(void* ctx, fathom_str section) {
    return guard([&] {
      trainer(ctx)
          .only_optimization("another schedule")
          .replace_schedule(parse_json(section, "a schedule's section"), "trainer.callbacks");
    });
  }
  static fathom_str schedule_interval(void* ctx, size_t optimizer) {
    const auto& all = trainer(ctx).optimizations_;
    return to_abi(optimizer < all.size() ? all[optimizer]->schedule_interval() : std::string_view());
  }
  static fathom_status log_row(void* ctx, const fathom_metric_values* row, int64_t step, int32_t metrics) {
    return guard([&] {
      Trainer& t = trainer(ctx);
      const ArrayView<fathom_metric_values> given(*row);
      std::vector<fathom_metric_value> values;
      for (size_t i = 0; i < given.size(); ++i) values.push_back(given[i]);
      if (values.empty()) return;
      t.parts_.loggers.log_metrics(values, step);
      if (metrics == 0) return;
      for (const auto& [name, value] : values) t.router_.set_callback_metric(to_string(name), value);
    });
  }
  static fathom_status gradient_norms(void* ctx, double norm_type, const fathom_metric_sink* out) {
    return guard([&] {
      if (!(norm_type > 0)) {
        throw Error(Code::kFailed, "is no norm of gradients")
            .at("norm_type")
            .seen(std::to_string(norm_type))
            .expected("a positive number, or inf");
      }
      const at::NoGradGuard no_grad;
      std::vector<at::Tensor> norms;
      for (const auto& [name, parameter] : named_parameters(*trainer(ctx).module_)) {
        if (!parameter.grad().defined()) continue;
        norms.push_back(at::norm(parameter.grad(), norm_type).to(at::kFloat));
        out->emit(out->ctx, to_abi(name), norms.back().item<double>());
      }
      if (!norms.empty()) out->emit(out->ctx, fathom_str{}, at::norm(at::stack(norms), norm_type).item<double>());
    });
  }
  static void stop_this_run(void* ctx, fathom_str reason) {
    RunState& run = trainer(ctx).run_;
    if (run.progress.should_stop != 0) return;
    run.progress.should_stop = 1;
    run.time_is_over = true;
    run.stop_reason = to_string(reason);
  }

  static void add(fathom_trainer& table) {
    table.plan_accumulation = &plan_accumulation;
    table.keep_mean = [](void* ctx, fathom_str state_key) {
      return guard([&] { trainer(ctx).keep_mean(to_string(state_key)); });
    };
    table.add_to_mean = [](void* ctx, int64_t taken) { return guard([&] { mean(ctx).add(taken); }); };
    table.take_mean = [](void* ctx) { return guard([&] { mean(ctx).take(); }); };
    table.add_statistics_epoch = [](void* ctx, int32_t* added) {
      return guard([&] { *added = trainer(ctx).add_statistics_epoch() ? 1 : 0; });
    };
    table.replace_schedule = &replace_schedule;
    table.schedule_interval = &schedule_interval;
    table.logger_count = [](void* ctx) -> size_t { return trainer(ctx).parts_.loggers.size(); };
    table.log_row = &log_row;
    table.gradient_norms = &gradient_norms;
    table.stop_this_run = &stop_this_run;
    table.interrupt = [](void*, int32_t signal) { request_interrupt(signal); };
  }
};

void add_plans(fathom_trainer& table) { TrainerPlans::add(table); }

}  // namespace fathom::training
