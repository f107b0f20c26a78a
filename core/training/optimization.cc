#include "core/training/optimization.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/archive/json_pickle.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/checkpoint/torch_file.h"
#include "core/planning/schedule_plan.h"
#include "core/plugins/registry.h"
#include "core/training/parameter_groups.h"
#include "fathom/options.h"
#include "fathom/values.h"

namespace fathom::training {
namespace {

using checkpoint::json_to_pickle;
using checkpoint::PickleValue;

// The name of the class, as Python has it: that of the class path among the component's names ("torch.optim.AdamW"), or
// else the last part of the name it is registered under.
std::string class_of(std::string name) {
  for (const std::string& alias : plugins::registry().find(1u << FATHOM_KIND_OPTIMIZER, name).component->aliases) {
    if (alias.find('.') == std::string::npos) continue;
    name = alias;
    break;
  }
  return name.substr(name.rfind('.') + 1);
}

}  // namespace

Optimization::Optimization(const Json& section, const std::string& path, const torch::nn::Module& model,
                           const Json& groups, const TrainingFacts& facts, const std::vector<std::string>& modules) {
  if (!section.is_object())
    throw Error(Code::kFailed, "the optimizer's section is no map").at(path).seen(json_text(section));
  const OptimizerPlan plan = plan_optimizer(section, path);
  const Json& schedule = plan.sched;
  optimizer_ = make_optimizer(plan.section(), path);
  class_name_ = class_of(optimizer_.name());
  make_groups(section, path, model, groups, modules);
  if (!schedule.is_null()) make_scheduler(schedule, path + ".sched", facts);
}

void Optimization::make_groups(const Json& section, const std::string& path, const torch::nn::Module& model,
                               const Json& groups, const std::vector<std::string>& modules) {
  const Json no_decay = section.contains("no_decay") ? section["no_decay"] : Json(nullptr);
  const Json schema = optimizer_.schema();
  const auto decays = [](const Json& option) { return option["name"] == "weight_decay"; };
  if (!no_decay.is_null() && std::none_of(schema["options"].begin(), schema["options"].end(), decays)) {
    throw Error(Code::kFailed, "this optimizer has no weight decay to be left out")
        .at(path + ".no_decay")
        .seen(class_name_)
        .next("remove the key, or choose an optimizer with weight_decay");
  }
  const auto made = parameter_groups(model, groups, path + "_param_groups", no_decay, path + ".no_decay", modules);
  for (const auto& group : made) {
    std::vector<int64_t> indices;
    for (const auto& named : group.members) {
      indices.push_back(static_cast<int64_t>(parameters_.size()));
      parameters_.push_back(named);
    }
    optimizer_.add_group(group.members, group.options);
    group_members_.push_back(std::move(indices));
  }
  group_count_ = group_members_.size();
  gradients_.resize(parameters_.size());
}

double Optimization::option(size_t group, std::string_view name) const { return optimizer_.get_option(group, name); }

void Optimization::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad().reset();
}

void Optimization::update_parameters() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& gradient = parameters_[i].second.mutable_grad();
    gradients_[i] = gradient.defined() ? borrow(gradient) : nullptr;
  }
  const at::NoGradGuard no_grad;
  optimizer_.step(gradients_);
}

void Optimization::move_schedule(const double* monitor) {
  if (!scheduler_) return;
  if (needs_monitor_ && monitor == nullptr) {
    throw Error(Code::kFailed, "this schedule watches a metric: give its value with the step of the schedule")
        .at(schedule_path_);
  }
  ++calls_;
  ++schedule_step_;
  apply_rates(needs_monitor_ ? monitor : nullptr);
}

void Optimization::step() {
  update_parameters();
  if (scheduler_ && interval_ == "step" && !needs_monitor_ && ++calls_ % frequency_ == 0) {
    ++schedule_step_;
    apply_rates(nullptr);
  }
}

// --- the schedule
// -----------------------------------------------------------------------------------------------------------

void Optimization::make_scheduler(const Json& section, const std::string& path, const TrainingFacts& facts) {
  const SchedulePlan plan = plan_schedule(section, path, facts);
  if (!plan.use) {
    log_warning("trainer", "{}: {}; the learning rate stays as it is", path, plan.reason);
    return;
  }
  start_schedule(plan.section, path, plan.max_steps ? Json(*plan.max_steps) : Json(nullptr));
  if (plan.interval) interval_ = *plan.interval;
  frequency_ = plan.frequency;
  monitor_ = plan.monitor;
}

void Optimization::replace_schedule(const Json& section, const std::string& path) {
  start_schedule(section, path, nullptr);
  if (needs_monitor_)
    throw Error(Code::kFailed, "a schedule that watches a metric cannot take another's place").at(path);
  frequency_ = 1;
  replacement_ = section;
}

void Optimization::start_schedule(const Json& section, const std::string& path, const Json& max_steps) {
  base_rates_.clear();
  for (size_t group = 0; group < group_count_; ++group) base_rates_.push_back(option(group, "lr"));
  rates_ = base_rates_;
  const Json context = {
      {"max_steps", max_steps}, {"base_lrs", base_rates_}, {"optimizer", optimizer_.group_options(0)}};
  scheduler_ = SchedulerHandle(create_object(1u << FATHOM_KIND_SCHEDULER, section, path, context));
  schedule_path_ = path;
  interval_ = scheduler_.interval();
  needs_monitor_ = scheduler_.needs_monitor();
  schedule_step_ = calls_ = 0;
  if (!needs_monitor_) apply_rates(nullptr);
}

void Optimization::apply_rates(const double* monitor) {
  ScheduleStep at{schedule_step_, base_rates_, rates_,
                  monitor == nullptr ? std::nullopt : std::optional<double>(*monitor)};
  try {
    rates_ = scheduler_.rates(at);
  } catch (Error& error) {
    error.locate(schedule_path_);
    throw;
  }
  for (size_t group = 0; group < group_count_; ++group) optimizer_.set_option(group, "lr", rates_[group]);
  at.lrs = rates_;
  const auto second = scheduler_.second_option(at);
  for (size_t group = 0; group < second.values.size(); ++group)
    optimizer_.set_option(group, second.name, second.values[group]);
}

void Optimization::end_epoch() {
  if (!scheduler_ || interval_ != "epoch" || needs_monitor_ || ++calls_ % frequency_ != 0) return;
  ++schedule_step_;
  apply_rates(nullptr);
}

void Optimization::end_validation(MetricLookup lookup, void* ctx) {
  if (!scheduler_ || !needs_monitor_ || ++calls_ % frequency_ != 0) return;
  const std::optional<double> value = lookup(ctx, monitor_);
  if (!value) {
    throw Error(Code::kFailed, "the schedule watches a metric that nobody logs")
        .at("model.optim.sched.monitor")
        .seen(monitor_)
        .next("set model.optim.sched.monitor to a metric the model logs, such as val_loss");
  }
  ++schedule_step_;
  apply_rates(&*value);
}

// --- state
// --------------------------------------------------------------------------------------------------------------------

PickleValue Optimization::optimizer_state() const {
  PickleValue state = PickleValue::dict();
  for (const auto& [parameter, values] : optimizer_.save_state()) {
    PickleValue own = PickleValue::dict();
    for (const auto& [key, value] : values) {
      if (value.is_tensor())
        own.mutable_dict().set(key, checkpoint::from_tensor(value.tensor()));
      else if (value.is_integer())
        own.mutable_dict().set(key, value.integer());
      else if (value.is_real())
        own.mutable_dict().set(key, value.real());
      else if (value.is_none())
        own.mutable_dict().set(key, PickleValue());
      else
        throw Error(Code::kInternal, "an optimizer's state holds " + std::string(value.kind_name())).at(key);
    }
    state.mutable_dict().set(parameter, own);
  }

  PickleValue groups = PickleValue::list();
  for (size_t group = 0; group < group_count_; ++group) {
    PickleValue entry = json_to_pickle(optimizer_.group_options(group));
    if (!base_rates_.empty()) entry.mutable_dict().set("initial_lr", base_rates_[group]);
    PickleValue members = PickleValue::list();
    for (const int64_t index : group_members_[group]) members.mutable_items().push_back(index);
    entry.mutable_dict().set("params", members);
    groups.mutable_items().push_back(entry);
  }
  PickleValue out = PickleValue::dict();
  out.mutable_dict().set("state", state);
  out.mutable_dict().set("param_groups", groups);
  return out;
}

void Optimization::load_optimizer_state(const PickleValue& saved, const std::string& source) {
  const auto& groups = saved.at("param_groups").items();
  if (groups.size() != group_count_) {
    throw Error(Code::kBadData, "the optimizer state has another number of parameter groups")
        .at(source)
        .seen(std::to_string(groups.size()))
        .expected(std::to_string(group_count_));
  }
  // Indices in the file count parameters group by group, as ours do.
  std::vector<int64_t> own;
  std::map<int64_t, int64_t> position;
  for (size_t group = 0; group < group_count_; ++group) {
    const auto& members = groups[group].at("params").items();
    if (members.size() != group_members_[group].size()) {
      throw Error(Code::kBadData, "the optimizer state is of another model: a parameter group has another size")
          .at(source)
          .seen(std::to_string(members.size()))
          .expected(std::to_string(group_members_[group].size()));
    }
    for (size_t i = 0; i < members.size(); ++i) position[members[i].as_int()] = group_members_[group][i];
    Json options = pickle_to_json(groups[group]);
    if (options.contains("initial_lr") && group < base_rates_.size()) {
      base_rates_[group] = options_detail::read<double>(options["initial_lr"], "initial_lr");
    }
    options.erase("initial_lr");
    options.erase("params");
    optimizer_.load_group(group, options);
    if (group < rates_.size()) rates_[group] = option(group, "lr");
  }
  for (const auto& [key, entries] : saved.at("state").as_dict()) {
    const auto target = position.find(key.as_int());
    if (target == position.end()) {
      throw Error(Code::kBadData, "the optimizer state names a parameter that no group has")
          .at(source)
          .seen(std::to_string(key.as_int()));
    }
    for (const auto& [name, value] : entries.as_dict()) {
      Value item;
      if (value.is_tensor())
        item = checkpoint::to_tensor(value);
      else if (value.kind() == PickleValue::Kind::kInt)
        item = value.as_int();
      else if (value.kind() == PickleValue::Kind::kFloat)
        item = value.as_double();
      try {
        optimizer_.load_state(target->second, name.as_string(), item);
      } catch (const Error& error) {
        throw Error(error.code(), error.message() + " (" + class_name_ + ", parameter " + error.where() + ")")
            .at(source)
            .seen(error.seen())
            .expected(error.expected())
            .candidates(error.candidates())
            .next(
                "resume with the optimizer and model the checkpoint was saved with, or start from its weights with "
                "init_from_ptl_ckpt");
      }
    }
  }
}

PickleValue Optimization::scheduler_state() const {
  if (!scheduler_) return {};
  const Json own = scheduler_.save_state();
  PickleValue state = own.is_null() ? PickleValue::dict() : json_to_pickle(own);
  auto& dict = state.mutable_dict();
  dict.set("last_epoch", schedule_step_);
  dict.set("_step_count", schedule_step_ + 1);
  dict.set("_fathom_calls", calls_);
  PickleValue base = PickleValue::list(), last = PickleValue::list();
  for (const double rate : base_rates_) base.mutable_items().push_back(rate);
  for (const double rate : rates_) last.mutable_items().push_back(rate);
  dict.set("base_lrs", base);
  dict.set("_last_lr", last);
  return state;
}

void Optimization::load_scheduler_state(const PickleValue& saved, const std::string& source) {
  if (!scheduler_) {
    log_warning("restore", "{}: holds a schedule's state, but model.optim.sched is not set; it is not used", source);
    return;
  }
  schedule_step_ = saved.at("last_epoch").as_int();
  calls_ = saved.find("_fathom_calls") != nullptr ? saved.at("_fathom_calls").as_int() : schedule_step_;
  if (const PickleValue* base = saved.find("base_lrs"); base != nullptr && base->items().size() == base_rates_.size()) {
    for (size_t i = 0; i < base_rates_.size(); ++i) base_rates_[i] = base->items()[i].as_double();
  }
  if (const PickleValue* last = saved.find("_last_lr");
      last != nullptr && last->is_sequence() && last->items().size() == rates_.size()) {
    for (size_t i = 0; i < rates_.size(); ++i) rates_[i] = last->items()[i].as_double();
  }
  scheduler_.load_state(pickle_to_json(saved));
}

NamedTensors optimized_parameters(const std::vector<std::unique_ptr<Optimization>>& optimizations) {
  NamedTensors all;
  for (const auto& optimization : optimizations)
    all.insert(all.end(), optimization->parameters().begin(), optimization->parameters().end());
  return all;
}

}  // namespace fathom::training
