// Kind `scheduler`: learning rates from the number of steps taken. Includes no torch.
//
//   struct HalvingOptions {
//     int64_t every = 1000;
//     static void describe(fathom::OptionSet<HalvingOptions>& o) { o("every", &HalvingOptions::every, "steps between
//     halvings"); }
//   };
//   class Halving final : public fathom::Scheduler {
//    public:
//     using Options = HalvingOptions;
//     explicit Halving(const Options& o) : every_(o.every) {}
//     std::vector<double> rates(const fathom::ScheduleStep& at) override {
//       std::vector<double> out = at.base_lrs;
//       for (double& lr : out) lr *= std::pow(0.5, at.step / every_);
//       return out;
//     }
//     void state(fathom::StateFields& s) override { s("every", every_); }
//    private:
//     int64_t every_;
//   };
//   r.add<Halving>("Halving", "half the rate every so many steps");
//
// An `Options` member named max_steps is filled from the run's number of steps when the config does not give one.
// State is saved under PyTorch's and NeMo's attribute names, so a scheduler resumes from their checkpoints; as there,
// what was saved wins over the options. One thread per object.
#pragma once

#include <algorithm>

#include "fathom/abi/scheduler.h"
#include "fathom/plugin.h"

namespace fathom {

struct ScheduleStep {
  int64_t step = 0;               // steps (or epochs) taken; 0 at construction. PyTorch's last_epoch
  std::vector<double> base_lrs;   // the optimizer's initial rates, one per group
  std::vector<double> lrs;        // the rates in force
  std::optional<double> monitor;  // the watched metric, for schedulers that ask for one
};

// Names a scheduler's fields once, for saving and loading.
class StateFields {
 public:
  StateFields(Json& json, bool load) : json_(json), load_(load) {}
  bool loading() const { return load_; }
  // Missing keys of a loaded state leave the field as it is; a value of another type fails.
  template <typename T>
  void operator()(const char* name, T& field) {
    if (!load_) {
      json_[name] = whole(options_detail::dump<T>(field));
    } else if (json_.contains(name)) {
      field = options_detail::read<T>(json_[name], name);
    }
  }
  // For keys whose form differs from the field's.
  Json& json() { return json_; }

 private:
  // Counts are held as double where a config may give a fraction; Python would show whole ones as ints.
  static Json whole(Json value) {
    if (value.is_number_float()) {
      const double number = value.get<double>();
      if (number == std::floor(number) && std::abs(number) < 1e15 && number != 0) return static_cast<int64_t>(number);
    }
    return value;
  }
  Json& json_;
  bool load_;
};

namespace scheduler_detail {
const void* table();
}

class Scheduler : public Stateful {
 public:
  using ComponentKind = SimpleKind<Scheduler, FATHOM_KIND_SCHEDULER, &scheduler_detail::table>;

  // The rates after `at.step` steps, one per group. Called once with step 0 before training, then after every step.
  virtual std::vector<double> rates(const ScheduleStep& at) = 0;
  // The option that is cycled beside the rate: its name and a value per group. Empty name: none.
  struct SecondOption {
    std::string name;
    std::vector<double> values;
  };
  virtual SecondOption second_option(const ScheduleStep& /*at*/) { return {}; }
  // "step" or "epoch": when it is called unless the config says otherwise.
  virtual const char* interval() const { return "step"; }
  virtual bool needs_monitor() const { return false; }
  virtual void state(StateFields& /*fields*/) {}
  // False for schedulers that are none of PyTorch's LRScheduler (ReduceLROnPlateau): no base_lrs and counters in the
  // state.
  virtual bool counts_steps() const { return true; }

  // What the table calls: rates() with the bookkeeping that is saved.
  std::vector<double> advance(ScheduleStep at) {
    adopt(at);
    std::vector<double> out = rates(at);
    if (out.size() != at.base_lrs.size()) {
      throw Error(Code::kInternal, "a scheduler gave " + std::to_string(out.size()) + " rates for " +
                                       std::to_string(at.base_lrs.size()) + " groups");
    }
    last_epoch_ = at.step;
    last_lr_ = out;
    return out;
  }
  SecondOption advance_second(ScheduleStep at) {
    adopt(at);
    return second_option(at);
  }
  Json save_state() const final {
    Json json = Json::object();
    StateFields fields(json, false);
    const_cast<Scheduler*>(this)->state(fields);  // one function names the fields for both ways; saving changes none
    if (counts_steps()) {
      json["base_lrs"] = base_lrs_;
      json["_step_count"] = step_count();
      json["_is_initial"] = false;
      json["_get_lr_called_within_step"] = false;
    }
    json["last_epoch"] = last_epoch_;
    json["_last_lr"] = last_lr_;
    return json;
  }
  void load_state(const Json& saved) final {
    Json json = saved;
    StateFields fields(json, true);
    state(fields);
    fields("base_lrs", base_lrs_);
    fields("last_epoch", last_epoch_);
    fields("_last_lr", last_lr_);
  }
  int64_t last_epoch() const { return last_epoch_; }

  // The run's number of steps becomes max_steps, where T has that option and the config does not give it.
  template <typename T>
  static void prepare(Json& config, const Json& context) {
    if (!options_detail::set_of<typename OptionsOf<T>::type>().has("max_steps")) return;
    if (!context.contains("max_steps") || context["max_steps"].is_null()) return;
    if (config.contains("max_steps") && !config["max_steps"].is_null()) return;
    const Json& steps = context["max_steps"];
    const bool whole = steps.is_number_float() && steps.get<double>() == std::floor(steps.get<double>());
    config["max_steps"] = whole ? Json(static_cast<int64_t>(steps.get<double>())) : steps;
  }

  virtual int64_t step_count() const { return last_epoch_ + 1; }

 protected:
  // Schedulers whose initial rates are not the optimizer's (CyclicLR, OneCycleLR) set them in their constructor.
  void set_base_lrs(std::vector<double> base_lrs) { base_lrs_ = std::move(base_lrs); }

 private:
  void adopt(ScheduleStep& at) {
    if (base_lrs_.empty()) base_lrs_ = at.base_lrs;
    if (base_lrs_.size() != at.base_lrs.size()) {
      throw Error(Code::kFailed, "the scheduler's state is of another number of parameter groups")
          .seen(std::to_string(base_lrs_.size()))
          .expected(std::to_string(at.base_lrs.size()));
    }
    at.base_lrs = base_lrs_;
  }
  std::vector<double> base_lrs_, last_lr_;
  int64_t last_epoch_ = 0;
};

// --- the author's class behind the C table --------------------------------------------------------------------------

namespace scheduler_detail {

inline Scheduler& base(void* self) { return *static_cast<Scheduler*>(self); }

inline ScheduleStep step_of(const fathom_schedule_step* given) {
  const fathom_schedule_step filled_in = filled(given), *at = &filled_in;
  ScheduleStep out;
  out.step = at->step;
  out.base_lrs.assign(at->base_lrs, at->base_lrs + at->group_count);
  out.lrs.assign(at->lrs, at->lrs + at->group_count);
  if (at->monitor != nullptr) out.monitor = *at->monitor;
  return out;
}
inline fathom_status rates(void* self, const fathom_schedule_step* at, double* lrs) {
  return guard([&] {
    const std::vector<double> out = base(self).advance(step_of(at));
    std::copy(out.begin(), out.end(), lrs);
  });
}
inline fathom_status second_option(void* self, const fathom_schedule_step* at, fathom_str* name, double* values) {
  return guard([&] {
    thread_local std::string text;  // what *name points to, until the next call
    Scheduler::SecondOption out = base(self).advance_second(step_of(at));
    text = std::move(out.name);
    *name = to_abi(text);
    if (text.empty()) return;
    if (out.values.size() != at->group_count) throw Error(Code::kInternal, "a scheduler gave a wrong number of values");
    std::copy(out.values.begin(), out.values.end(), values);
  });
}
inline fathom_str interval(void* self) { return to_abi(std::string_view(base(self).interval())); }
inline int32_t needs_monitor(void* self) { return base(self).needs_monitor() ? 1 : 0; }
inline const void* table() {
  static const fathom_scheduler_v1 table = {sizeof(fathom_scheduler_v1), &rates, &second_option, &interval,
                                            &needs_monitor};
  return &table;
}

}  // namespace scheduler_detail

// --- the caller's side
// ------------------------------------------------------------------------------------------------

// A scheduler made by name, of any plugin.
class SchedulerHandle {
 public:
  SchedulerHandle() = default;
  explicit SchedulerHandle(fathom_object object) : handle_(std::make_shared<Handle<fathom_scheduler_v1>>(object)) {}

  explicit operator bool() const { return handle_ != nullptr; }
  std::string name() const { return handle_->name(); }

  // New rates, one per group.
  std::vector<double> rates(const ScheduleStep& at) {
    const fathom_schedule_step step = to_abi_step(at);
    std::vector<double> out(at.base_lrs.size());
    check(table().rates(handle_->self(), &step, out.data()));
    return out;
  }
  Scheduler::SecondOption second_option(const ScheduleStep& at) {
    Scheduler::SecondOption out;
    if (table().second_option == nullptr) return out;
    const fathom_schedule_step step = to_abi_step(at);
    out.values.resize(at.base_lrs.size());
    fathom_str name{nullptr, 0};
    check(table().second_option(handle_->self(), &step, &name, out.values.data()));
    out.name = to_string(name);
    if (out.name.empty()) out.values.clear();
    return out;
  }
  std::string interval() const {
    return table().interval == nullptr ? "step" : to_string(table().interval(handle_->self()));
  }
  bool needs_monitor() const { return table().needs_monitor != nullptr && table().needs_monitor(handle_->self()) != 0; }
  // Null without a state.
  Json save_state() const { return fathom::save_state(handle_->object()); }
  void load_state(const Json& state) { fathom::load_state(handle_->object(), state); }

 private:
  const fathom_scheduler_v1& table() const { return handle_->vtable(); }
  static fathom_schedule_step to_abi_step(const ScheduleStep& at) {
    return {sizeof(fathom_schedule_step), at.step,
            at.base_lrs.data(),           at.lrs.empty() ? at.base_lrs.data() : at.lrs.data(),
            at.base_lrs.size(),           at.monitor ? &*at.monitor : nullptr};
  }
  std::shared_ptr<Handle<fathom_scheduler_v1>> handle_;
};

// `config` is the `sched` section: `name` or `_target_`, and the scheduler's options. `optimizer` is group 0's options.
inline SchedulerHandle make_scheduler(const Json& config, const std::string& config_path,
                                      const std::optional<double>& max_steps, const std::vector<double>& base_lrs,
                                      const Json& optimizer) {
  Json context = {{"max_steps", nullptr}, {"base_lrs", base_lrs}, {"optimizer", optimizer}};
  if (max_steps) context["max_steps"] = *max_steps;
  return SchedulerHandle(create_object(1u << FATHOM_KIND_SCHEDULER, config, config_path, context));
}

}  // namespace fathom
