// NeMo's schedulers with a warm-up and one annealing.
#include "plugins/schedulers/warmup.h"

#include <numbers>

namespace fathom::schedulers {
namespace {

struct PlainOptions : WarmupOptions {
  static void describe(OptionSet<PlainOptions>& o) { describe_warmup(o); }
};

class WarmupPolicy final : public WarmupBase {
 public:
  using Options = PlainOptions;
  explicit WarmupPolicy(const Options& o) : WarmupBase(o, MaxSteps::kOptional) {}
  std::vector<double> anneal(double, const std::vector<double>& base) override { return base; }
};

struct SquareOptions : WarmupOptions {
  SquareOptions() { min_lr = 1e-5; }
  static void describe(OptionSet<SquareOptions>& o) { describe_warmup(o); }
};
class SquareAnnealing final : public WarmupBase {
 public:
  using Options = SquareOptions;
  explicit SquareAnnealing(const Options& o) : WarmupBase(o, MaxSteps::kNeeded) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    const double span = max_steps() - warmup_steps_;
    const double left = ratio(span - (step - warmup_steps_), span, "max_steps - warmup_steps");
    return each(base, [&](double lr) { return std::max(lr * (left * left), min_lr_); });
  }
};

// Measured from step 0, not from the end of the warm-up.
class SquareRootAnnealing final : public WarmupBase {
 public:
  using Options = PlainOptions;
  explicit SquareRootAnnealing(const Options& o) : WarmupBase(o, MaxSteps::kNeeded) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    const double factor = root(ratio(max_steps() - step, max_steps(), "max_steps"), 0.5, "share of steps left");
    return each(base, [&](double lr) { return std::max(lr * factor, min_lr_); });
  }
};

class InverseSquareRootAnnealing final : public WarmupBase {
 public:
  using Options = PlainOptions;
  explicit InverseSquareRootAnnealing(const Options& o) : WarmupBase(o, MaxSteps::kNeeded) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    const double divisor = root((step + 1) / (warmup_steps_ + 1), 0.5, "number of steps");
    return each(base, [&](double lr) { return lr / divisor; });
  }
};

// Linear from the first group's rate, for every group, as NeMo has it.
class WarmupAnnealing final : public WarmupBase {
 public:
  using Options = PlainOptions;
  explicit WarmupAnnealing(const Options& o) : WarmupBase(o, MaxSteps::kNeeded) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    const double done = ratio(step - warmup_steps_, max_steps() - warmup_steps_, "max_steps - warmup_steps");
    return std::vector<double>(base.size(), min_lr_ + (1 - done) * (base.at(0) - min_lr_));
  }
};

struct PolynomialOptions : WarmupOptions {
  double power = 1;
  bool cycle = false;
  static void describe(OptionSet<PolynomialOptions>& o) {
    describe_warmup(o);
    o("power", &PolynomialOptions::power, "exponent of the decay");
    o("cycle", &PolynomialOptions::cycle, "start over after the last step, over a longer span");
  }
};
class PolynomialDecayAnnealing final : public WarmupBase {
 public:
  using Options = PolynomialOptions;
  explicit PolynomialDecayAnnealing(const Options& o)
      : WarmupBase(o, MaxSteps::kNeeded), power_(o.power), cycle_(o.cycle) {}
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    return each(base, [&](double lr) {
      return poly_decay(lr, step - warmup_steps_, max_steps() - warmup_steps_, power_, min_lr_, cycle_);
    });
  }
  void state(StateFields& s) override {
    WarmupBase::state(s);
    s("power", power_);
    s("cycle", cycle_);
  }

 private:
  double power_;
  bool cycle_;
};

// With constant_steps: Megatron's form, a warm-up from 0, the cosine, then min_lr for the last constant_steps, all from
// the first group's rate.
struct CosineOptions : WarmupOptions {
  std::optional<double> constant_steps, constant_ratio;
  static void describe(OptionSet<CosineOptions>& o) {
    describe_warmup(o);
    o("constant_steps", &CosineOptions::constant_steps, "steps at min_lr at the end; the cosine ends before them",
      "steps");
    o("constant_ratio", &CosineOptions::constant_ratio, "constant_steps as a share of max_steps");
  }
};
class CosineAnnealing final : public WarmupBase {
 public:
  using Options = CosineOptions;
  explicit CosineAnnealing(const Options& o)
      : WarmupBase(o, MaxSteps::kNeeded),
        constant_steps_(steps_or_ratio(o.constant_steps, o.constant_ratio, o.max_steps, "constant")),
        decay_steps_(max_steps() - (constant_steps_ + warmup_steps_)) {}

  std::vector<double> rates(const ScheduleStep& at) override {
    const auto step = static_cast<double>(at.step);
    if (warmup_steps_ > 0 && step <= warmup_steps_) {
      return constant_steps_ == 0 ? warm_up(step, at.base_lrs) : with_constant(step, at.base_lrs);
    }
    if (constant_steps_ > 0 && warmup_steps_ + decay_steps_ < step && step <= max_steps())
      return with_constant(step, at.base_lrs);
    if (step > max_steps()) return floor_rates(at.base_lrs);
    return anneal(step, at.base_lrs);
  }
  std::vector<double> anneal(double step, const std::vector<double>& base) override {
    need_above_min(base);
    if (constant_steps_ != 0) return with_constant(step, base);
    const double done = ratio(step - warmup_steps_, max_steps() - warmup_steps_, "max_steps - warmup_steps");
    const double factor = 0.5 * (1 + std::cos(std::numbers::pi * done));
    return each(base, [&](double lr) { return (lr - min_lr_) * factor + min_lr_; });
  }
  void state(StateFields& s) override {
    WarmupBase::state(s);
    s("constant_steps", constant_steps_);
    s("decay_steps", decay_steps_);
  }

 private:
  std::vector<double> with_constant(double step, const std::vector<double>& base) const {
    const double top = base.at(0);
    if (!(top > min_lr_)) {
      throw Error(Code::kFailed, "the first group's learning rate must be above min_lr")
          .seen(text_of(top) + " and " + text_of(min_lr_));
    }
    double lr = min_lr_;
    if (warmup_steps_ > 0 && step <= warmup_steps_) {
      lr = top * step / warmup_steps_;
    } else if (step <= warmup_steps_ + decay_steps_) {
      const double done = ratio(step - warmup_steps_, decay_steps_, "the number of decay steps");
      lr = min_lr_ + 0.5 * (std::cos(std::numbers::pi * done) + 1.0) * (top - min_lr_);
    }
    return std::vector<double>(base.size(), lr);
  }
  double constant_steps_, decay_steps_;
};

}  // namespace

void add_warmup(Registry& r) {
  const std::string nemo = "nemo.core.optim.lr_scheduler.";
  r.add<WarmupPolicy>("WarmupPolicy", "linear warm-up, then the base rate", {nemo + "WarmupPolicy"});
  r.add<SquareAnnealing>("SquareAnnealing", "warm-up, then the square of the share of steps left",
                         {nemo + "SquareAnnealing"});
  r.add<SquareRootAnnealing>("SquareRootAnnealing", "warm-up, then the root of the share of steps left",
                             {nemo + "SquareRootAnnealing"});
  r.add<InverseSquareRootAnnealing>("InverseSquareRootAnnealing", "warm-up, then one over the root of the step",
                                    {nemo + "InverseSquareRootAnnealing"});
  r.add<WarmupAnnealing>("WarmupAnnealing", "warm-up, then linear decay", {nemo + "WarmupAnnealing"});
  r.add<PolynomialDecayAnnealing>("PolynomialDecayAnnealing", "warm-up, then polynomial decay",
                                  {nemo + "PolynomialDecayAnnealing"});
  r.add<CosineAnnealing>("CosineAnnealing", "warm-up, then half a cosine down to min_lr", {nemo + "CosineAnnealing"});
}

}  // namespace fathom::schedulers
