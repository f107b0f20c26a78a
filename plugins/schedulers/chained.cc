// PyTorch's schedulers that compute a rate from the one in force, so that a rate changed by hand stays changed.
#include <map>
#include <numbers>

#include "plugins/schedulers/common.h"

namespace fathom::schedulers {
namespace {

// rates() from a factor on the rate in force.
class Chained : public Scheduler {
 public:
  explicit Chained(const CommonOptions& o) { need_fresh(o); }
  std::vector<double> rates(const ScheduleStep& at) override {
    std::vector<double> out = at.lrs;
    const double by = factor(at.step);
    for (double& lr : out) lr *= by;
    return out;
  }

 protected:
  virtual double factor(int64_t step) const = 0;
};

struct StepOptions : CommonOptions {
  double step_size = 0, gamma = 0.1;
  static void describe(OptionSet<StepOptions>& o) {
    o.required("step_size", &StepOptions::step_size, "steps between two decays", "steps");
    o("gamma", &StepOptions::gamma, "factor of a decay");
    describe_common(o);
  }
};
class StepLR final : public Chained {
 public:
  using Options = StepOptions;
  explicit StepLR(const Options& o) : Chained(o), step_size_(o.step_size), gamma_(o.gamma) {}
  double factor(int64_t step) const override {
    if (step == 0) return 1;
    if (step_size_ == 0) throw Error(Code::kFailed, "step_size must not be 0").next("set step_size");
    return std::fmod(static_cast<double>(step), step_size_) == 0 ? gamma_ : 1;
  }
  void state(StateFields& s) override {
    s("step_size", step_size_);
    s("gamma", gamma_);
  }

 private:
  double step_size_, gamma_;
};

struct MultiStepOptions : CommonOptions {
  std::vector<int64_t> milestones;
  double gamma = 0.1;
  static void describe(OptionSet<MultiStepOptions>& o) {
    o.required("milestones", &MultiStepOptions::milestones,
               "steps at which the rate decays; one named twice decays twice", "steps");
    o("gamma", &MultiStepOptions::gamma, "factor of a decay");
    describe_common(o);
  }
};
class MultiStepLR final : public Chained {
 public:
  using Options = MultiStepOptions;
  explicit MultiStepLR(const Options& o) : Chained(o), gamma_(o.gamma) {
    for (const int64_t step : o.milestones) ++milestones_[std::to_string(step)];
  }
  double factor(int64_t step) const override {
    const auto found = milestones_.find(std::to_string(step));
    return found == milestones_.end() ? 1 : std::pow(gamma_, static_cast<double>(found->second));
  }
  void state(StateFields& s) override {
    s("milestones", milestones_);
    s("gamma", gamma_);
  }

 private:
  std::map<std::string, int64_t> milestones_;  // step -> how often, as PyTorch's Counter
  double gamma_;
};

struct ExponentialOptions : CommonOptions {
  std::optional<double> gamma, lr_decay;
  static void describe(OptionSet<ExponentialOptions>& o) {
    o("gamma", &ExponentialOptions::gamma, "factor of every epoch");
    o("lr_decay", &ExponentialOptions::lr_decay, "the same, as NeMo's configs of VITS name it");
    describe_common(o);
  }
};
class ExponentialLR final : public Chained {
 public:
  using Options = ExponentialOptions;
  explicit ExponentialLR(const Options& o) : Chained(o), gamma_(o.gamma.value_or(o.lr_decay.value_or(0))) {
    if (o.gamma.has_value() == o.lr_decay.has_value()) {
      throw Error(Code::kFailed, "ExponentialLR needs its factor, once")
          .at("gamma")
          .seen(o.gamma ? "gamma and lr_decay" : "nothing")
          .expected("gamma, or lr_decay as VITS's configs have it");
    }
  }
  double factor(int64_t step) const override { return step == 0 ? 1 : gamma_; }
  const char* interval() const override { return "epoch"; }
  void state(StateFields& s) override { s("gamma", gamma_); }

 private:
  double gamma_;
};

struct ConstantOptions : CommonOptions {
  double factor = 1.0 / 3, total_iters = 5;
  static void describe(OptionSet<ConstantOptions>& o) {
    o("factor", &ConstantOptions::factor, "factor on the rate until total_iters");
    o("total_iters", &ConstantOptions::total_iters, "steps at the reduced rate", "steps");
    describe_common(o);
  }
};
class ConstantLR final : public Chained {
 public:
  using Options = ConstantOptions;
  explicit ConstantLR(const Options& o) : Chained(o), factor_(o.factor), total_iters_(o.total_iters) {
    if (!(factor_ >= 0 && factor_ <= 1))
      throw Error(Code::kFailed, "factor must lie between 0 and 1").seen(text_of(factor_));
  }
  double factor(int64_t step) const override {
    if (step == 0) return factor_;
    return static_cast<double>(step) != total_iters_ ? 1 : ratio(1, factor_, "factor");
  }
  void state(StateFields& s) override {
    s("factor", factor_);
    s("total_iters", total_iters_);
  }

 private:
  double factor_, total_iters_;
};

struct LinearOptions : CommonOptions {
  double start_factor = 1.0 / 3, end_factor = 1, total_iters = 5;
  static void describe(OptionSet<LinearOptions>& o) {
    o("start_factor", &LinearOptions::start_factor, "factor on the rate at step 0");
    o("end_factor", &LinearOptions::end_factor, "factor on the rate from total_iters on");
    o("total_iters", &LinearOptions::total_iters, "steps from one to the other", "steps");
    describe_common(o);
  }
};
class LinearLR final : public Chained {
 public:
  using Options = LinearOptions;
  explicit LinearLR(const Options& o)
      : Chained(o), start_(o.start_factor), end_(o.end_factor), total_iters_(o.total_iters) {
    if (!(start_ > 0 && start_ <= 1))
      throw Error(Code::kFailed, "start_factor must lie above 0 and not above 1").seen(text_of(start_));
    if (!(end_ >= 0 && end_ <= 1))
      throw Error(Code::kFailed, "end_factor must lie between 0 and 1").seen(text_of(end_));
  }
  double factor(int64_t taken) const override {
    const auto step = static_cast<double>(taken);
    if (step == 0) return start_;
    if (step > total_iters_) return 1;
    return 1 + ratio(end_ - start_, total_iters_ * start_ + (step - 1) * (end_ - start_), "the factor reached");
  }
  void state(StateFields& s) override {
    s("start_factor", start_);
    s("end_factor", end_);
    s("total_iters", total_iters_);
  }

 private:
  double start_, end_, total_iters_;
};

struct PolynomialLROptions : CommonOptions {
  double total_iters = 5, power = 1;
  static void describe(OptionSet<PolynomialLROptions>& o) {
    o("total_iters", &PolynomialLROptions::total_iters, "steps until the rate is 0", "steps");
    o("power", &PolynomialLROptions::power, "exponent of the decay");
    describe_common(o);
  }
};
class PolynomialLR final : public Chained {
 public:
  using Options = PolynomialLROptions;
  explicit PolynomialLR(const Options& o) : Chained(o), total_iters_(o.total_iters), power_(o.power) {}
  double factor(int64_t taken) const override {
    const auto step = static_cast<double>(taken);
    if (step == 0 || step > total_iters_) return 1;
    return std::pow((1 - step / total_iters_) / (1 - (step - 1) / total_iters_), power_);
  }
  void state(StateFields& s) override {
    s("total_iters", total_iters_);
    s("power", power_);
  }

 private:
  double total_iters_, power_;
};

struct CosineLROptions : CommonOptions {
  double t_max = 0, eta_min = 0;
  static void describe(OptionSet<CosineLROptions>& o) {
    o.required("T_max", &CosineLROptions::t_max, "steps of half a cosine", "steps");
    o("eta_min", &CosineLROptions::eta_min, "lowest rate");
    describe_common(o);
  }
};
class CosineAnnealingLR final : public Scheduler {
 public:
  using Options = CosineLROptions;
  explicit CosineAnnealingLR(const Options& o) : t_max_(o.t_max), eta_min_(o.eta_min) { need_fresh(o); }
  std::vector<double> rates(const ScheduleStep& at) override {
    if (at.step == 0) return at.lrs;
    const auto step = static_cast<double>(at.step);
    const double now = 1 + std::cos(ratio(std::numbers::pi * step, t_max_, "T_max")),
                 before = 1 + std::cos(std::numbers::pi * (step - 1) / t_max_);
    std::vector<double> out = at.lrs;
    for (size_t i = 0; i < out.size(); ++i) {
      // From the bottom of the cosine the rate in force tells nothing: rise from the initial one.
      const bool bottom = std::fmod(step - 1 - t_max_, 2 * t_max_) == 0;
      out[i] = bottom ? out[i] + (at.base_lrs[i] - eta_min_) * (1 - std::cos(std::numbers::pi / t_max_)) / 2
                      : now / before * (out[i] - eta_min_) + eta_min_;
    }
    return out;
  }
  void state(StateFields& s) override {
    s("T_max", t_max_);
    s("eta_min", eta_min_);
  }

 private:
  double t_max_, eta_min_;
};

}  // namespace

void add_torch_chained(Registry& r) {
  const std::string torch = "torch.optim.lr_scheduler.";
  r.add<StepLR>("StepLR", "decay by gamma every step_size steps", {torch + "StepLR"});
  r.add<ExponentialLR>("ExponentialLR", "decay by gamma every epoch", {torch + "ExponentialLR"});
  // Not in NeMo's registry: by class path only, so that the short names mean what they mean there.
  r.add<MultiStepLR>(torch + "MultiStepLR", "decay by gamma at every milestone");
  r.add<ConstantLR>(torch + "ConstantLR", "a reduced rate for the first steps");
  r.add<LinearLR>(torch + "LinearLR", "from one factor of the rate to another");
  r.add<PolynomialLR>(torch + "PolynomialLR", "polynomial decay to 0");
  r.add<CosineAnnealingLR>(torch + "CosineAnnealingLR", "half cosines down and up");
}

}  // namespace fathom::schedulers
