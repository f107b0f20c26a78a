// NeMo's schedulers that hold the base rate after the warm-up. `hold_steps_` is where the hold ends: warm-up included
// when a hold was asked for, 0 when none was. A schedule with a warm-up and no hold therefore decays as if it had begun
// at step 0.
#include "plugins/schedulers/warmup.h"

namespace fathom::schedulers {
namespace {

struct HoldOptions : WarmupOptions {
  std::optional<double> hold_steps, hold_ratio;
};
template <typename O>
void describe_hold(OptionSet<O>& o) {
  describe_warmup(o);
  o("hold_steps", static_cast<std::optional<double> O::*>(&O::hold_steps), "steps at the base rate after the warm-up",
    "steps");
  o("hold_ratio", static_cast<std::optional<double> O::*>(&O::hold_ratio), "hold_steps as a share of max_steps");
}

class HoldBase : public WarmupBase {
 public:
  HoldBase(const HoldOptions& o, MaxSteps needed)
      : WarmupBase(o, needed), hold_steps_(steps_or_ratio(o.hold_steps, o.hold_ratio, o.max_steps, "hold")) {
    if (o.hold_steps || o.hold_ratio) hold_steps_ += warmup_steps_;
  }
  std::vector<double> rates(const ScheduleStep& at) override {
    const auto step = static_cast<double>(at.step);
    if (warmup_steps_ > 0 && step <= warmup_steps_) return warm_up(step, at.base_lrs);
    if (step >= warmup_steps_ && step < hold_steps_) return at.base_lrs;
    if (step > max_steps()) return floor_rates(at.base_lrs);
    return anneal(step, at.base_lrs);
  }
  void state(StateFields& s) override {
    WarmupBase::state(s);
    s("hold_steps", hold_steps_);
    s("_last_warmup_lr", last_warmup_lr_);
  }

 protected:
  double hold_steps_;

 private:
  double last_warmup_lr_ = 0;  // NeMo's attribute, never anything else
};

struct PlainHoldOptions : HoldOptions {
  static void describe(OptionSet<PlainHoldOptions>& o) { describe_hold(o); }
};

class WarmupHoldPolicy final : public HoldBase {
 public:
  using Options = PlainHoldOptions;
  explicit WarmupHoldPolicy(const Options& o) : HoldBase(o, MaxSteps::kOptional) {}
  std::vector<double> anneal(double, const std::vector<double>& base) override { return base; }
};

class WarmupHoldAnnealOneMinusSquareRoot final : public HoldBase {
 public:
  using Options = PlainHoldOptions;
  explicit WarmupHoldAnnealOneMinusSquareRoot(const Options& o) : HoldBase(o, MaxSteps::kNeeded) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    const double done = root(ratio(step - hold_steps_, max_steps() - hold_steps_, "max_steps - hold_steps"), 0.5,
                             "share of steps done");
    return each(base, [&](double lr) { return std::max(lr * (1 - done), min_lr_); });
  }
};

class WarmupHoldAnnealLinear final : public HoldBase {
 public:
  using Options = PlainHoldOptions;
  explicit WarmupHoldAnnealLinear(const Options& o) : HoldBase(o, MaxSteps::kNeeded) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    const double done = ratio(step - hold_steps_, max_steps() - hold_steps_, "max_steps - hold_steps");
    return each(base, [&](double lr) { return lr - (lr - min_lr_) * done; });
  }
};

struct PolynomialHoldOptions : HoldOptions {
  double power = 1;
  bool cycle = false;
  static void describe(OptionSet<PolynomialHoldOptions>& o) {
    describe_hold(o);
    o("power", &PolynomialHoldOptions::power, "exponent of the decay");
    o("cycle", &PolynomialHoldOptions::cycle, "start over after the last step, over a longer span");
  }
};
class PolynomialHoldDecayAnnealing final : public HoldBase {
 public:
  using Options = PolynomialHoldOptions;
  explicit PolynomialHoldDecayAnnealing(const Options& o)
      : HoldBase(o, MaxSteps::kNeeded), power_(o.power), cycle_(o.cycle) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    const double decay = max_steps() - std::max(warmup_steps_, hold_steps_);
    return each(base, [&](double lr) { return poly_decay(lr, step - hold_steps_, decay, power_, min_lr_, cycle_); });
  }
  void state(StateFields& s) override {
    HoldBase::state(s);
    s("power", power_);
    s("cycle", cycle_);
  }

 private:
  double power_;
  bool cycle_;
};

struct NoamHoldOptions : HoldOptions {
  double decay_rate = 0.5;
  static void describe(OptionSet<NoamHoldOptions>& o) {
    describe_hold(o);
    o("decay_rate", &NoamHoldOptions::decay_rate, "exponent of the decay: 0.5 as in Noam, 1 for a faster one");
  }
};
class NoamHoldAnnealing final : public HoldBase {
 public:
  using Options = NoamHoldOptions;
  explicit NoamHoldAnnealing(const Options& o) : HoldBase(o, MaxSteps::kNeeded), decay_rate_(o.decay_rate) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    if (warmup_steps_ == 0) {
      throw Error(Code::kFailed, "NoamHoldAnnealing cannot be used without warm-up steps")
          .next("set warmup_steps or warmup_ratio");
    }
    const double hold = hold_steps_ > 0 ? hold_steps_ - warmup_steps_ : 0;
    const double rise = std::max(1.0, std::pow(warmup_steps_, decay_rate_));
    const double fall = std::max(1.0, root(step - hold, decay_rate_, "number of steps"));
    return each(base, [&](double lr) { return std::max(lr * rise / fall, min_lr_); });
  }
  void state(StateFields& s) override {
    HoldBase::state(s);
    s("decay_rate", decay_rate_);
  }

 private:
  double decay_rate_;
};

}  // namespace

void add_hold(Registry& r) {
  const std::string nemo = "nemo.core.optim.lr_scheduler.";
  r.add<WarmupHoldPolicy>("WarmupHoldPolicy", "warm-up, then the base rate", {nemo + "WarmupHoldPolicy"});
  r.add<WarmupHoldAnnealOneMinusSquareRoot>("WarmupHoldAnnealOneMinusSquareRoot",
                                            "warm-up, hold, then one minus the root of the share done",
                                            {nemo + "WarmupHoldAnnealOneMinusSquareRoot"});
  r.add<WarmupHoldAnnealLinear>("WarmupHoldAnnealLinear", "warm-up, hold, then linear decay",
                                {nemo + "WarmupHoldAnnealLinear"});
  r.add<PolynomialHoldDecayAnnealing>("PolynomialHoldDecayAnnealing", "warm-up, hold, then polynomial decay",
                                      {nemo + "PolynomialHoldDecayAnnealing"});
  r.add<NoamHoldAnnealing>("NoamHoldAnnealing", "warm-up, hold, then decay with a power of the step",
                           {nemo + "NoamHoldAnnealing"});
}

}  // namespace fathom::schedulers
