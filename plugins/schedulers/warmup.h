// The warm-up that NeMo's schedulers build on: base · (step + 1) / (warmup_steps + 1) up to and including step
// warmup_steps, the annealing of the derived class, min_lr after max_steps.
#pragma once

#include "plugins/schedulers/common.h"

namespace fathom::schedulers {

// Steps are real numbers, since a config may give max_steps as one (1e5).
struct WarmupOptions : CommonOptions {
  std::optional<double> warmup_steps, warmup_ratio, max_steps;
  double min_lr = 0;
};
template <typename O>
void describe_warmup(OptionSet<O>& o) {
  o("max_steps", static_cast<std::optional<double> O::*>(&O::max_steps),
    "steps of the whole schedule; filled from the trainer", "steps");
  o("warmup_steps", static_cast<std::optional<double> O::*>(&O::warmup_steps), "steps of linear warm-up", "steps");
  o("warmup_ratio", static_cast<std::optional<double> O::*>(&O::warmup_ratio), "warm-up as a share of max_steps");
  o("min_lr", static_cast<double O::*>(&O::min_lr), "rate after max_steps");
  describe_common(o);
}

// steps, or int(ratio · max_steps), or `otherwise`; at most one may be given.
inline double steps_or_ratio(const std::optional<double>& steps, const std::optional<double>& ratio,
                             const std::optional<double>& max_steps, const std::string& what, double otherwise = 0) {
  if (steps && ratio) {
    throw Error(Code::kFailed, "give " + what + "_steps or " + what + "_ratio, not both")
        .seen(text_of(*steps) + " and " + text_of(*ratio));
  }
  if (ratio && !max_steps) throw Error(Code::kFailed, what + "_ratio needs max_steps").next("set max_steps");
  if (steps) return *steps;
  return ratio ? std::trunc(*ratio * *max_steps) : otherwise;
}

inline double need_max_steps(const std::optional<double>& max_steps) {
  if (!max_steps)
    throw Error(Code::kFailed, "the scheduler needs max_steps").next("set sched.max_steps or trainer.max_steps");
  return *max_steps;
}

enum class MaxSteps { kOptional, kNeeded };

class WarmupBase : public Scheduler {
 public:
  WarmupBase(const WarmupOptions& o, MaxSteps needed)
      : max_steps_(o.max_steps),
        warmup_steps_(steps_or_ratio(o.warmup_steps, o.warmup_ratio, o.max_steps, "warmup")),
        min_lr_(o.min_lr) {
    need_fresh(o);
    if (needed == MaxSteps::kNeeded) max_steps();
  }
  std::vector<double> rates(const ScheduleStep& at) override {
    const auto step = static_cast<double>(at.step);
    if (warmup_steps_ > 0 && step <= warmup_steps_) return warm_up(step, at.base_lrs);
    if (max_steps_ && step > *max_steps_) return floor_rates(at.base_lrs);
    return anneal(step, at.base_lrs);
  }
  void state(StateFields& s) override {
    s("max_steps", max_steps_);
    s("warmup_steps", warmup_steps_);
    s("min_lr", min_lr_);
  }

 protected:
  virtual std::vector<double> anneal(double step, const std::vector<double>& base) = 0;
  virtual std::vector<double> warm_up(double step, const std::vector<double>& base) {
    return each(base, [&](double lr) { return lr * ((step + 1) / (warmup_steps_ + 1)); });
  }
  std::vector<double> floor_rates(const std::vector<double>& base) const {
    return std::vector<double>(base.size(), min_lr_);
  }
  double max_steps() const { return need_max_steps(max_steps_); }
  template <typename F>
  static std::vector<double> each(std::vector<double> base, F&& f) {
    for (double& lr : base) lr = f(lr);
    return base;
  }
  void need_above_min(const std::vector<double>& base) const {
    for (const double lr : base) {
      if (lr < min_lr_) {
        throw Error(Code::kFailed, "the initial learning rate is lower than the minimum learning rate")
            .seen(text_of(lr) + " < " + text_of(min_lr_))
            .next("lower min_lr or raise lr");
      }
    }
  }

  std::optional<double> max_steps_;
  double warmup_steps_, min_lr_;
};

// (base - min) · (1 - step / decay)^power + min; beyond decay: min, or further cycles of whole multiples of it.
inline double poly_decay(double base, double step, double decay, double power, double min_lr, bool cycle) {
  if (cycle)
    decay *= step == 0 ? 1.0 : std::ceil(ratio(step, decay, "the number of decay steps"));
  else
    step = std::min(step, decay);
  const double left = 1.0 - ratio(step, decay, "the number of decay steps");
  if (left < 0 && power != std::floor(power))
    throw Error(Code::kFailed, "the schedule takes a root of a negative number");
  return (base - min_lr) * std::pow(left, power) + min_lr;
}

}  // namespace fathom::schedulers
