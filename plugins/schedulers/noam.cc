// Noam (Vaswani et al. 2017): d_model^-0.5 · min(step^-0.5, step · warmup^-1.5), and T5's inverse square root.
#include "plugins/schedulers/warmup.h"

namespace fathom::schedulers {
namespace {

struct NoamOptions : WarmupOptions {
  double d_model = 0;
  static void describe(OptionSet<NoamOptions>& o) {
    o.required("d_model", &NoamOptions::d_model, "width of the model");
    describe_warmup(o);
  }
};
// Has its own warm-up and does not fall to min_lr after max_steps.
class NoamAnnealing final : public WarmupBase {
 public:
  using Options = NoamOptions;
  explicit NoamAnnealing(const Options& o) : WarmupBase(o, MaxSteps::kOptional) {
    if (!(o.d_model > 0)) throw Error(Code::kFailed, "d_model must be positive").seen(text_of(o.d_model));
    normalize_ = std::pow(o.d_model, -0.5);
  }
  std::vector<double> rates(const ScheduleStep& at) override {
    return anneal(static_cast<double>(at.step), at.base_lrs);
  }
  std::vector<double> anneal(double taken, const std::vector<double>& base) override {
    need_above_min(base);
    const double step = std::max(1.0, taken);
    double factor = normalize_ * std::pow(step, -0.5);
    if (warmup_steps_ > 0) factor = normalize_ * std::min(std::pow(step, -0.5), step * std::pow(warmup_steps_, -1.5));
    return each(base, [&](double lr) { return step > warmup_steps_ ? std::max(lr * factor, min_lr_) : lr * factor; });
  }
  void state(StateFields& s) override {
    WarmupBase::state(s);
    s("_normalize", normalize_);
  }

 private:
  double normalize_ = 1;
};

struct T5Options : CommonOptions {
  std::optional<double> constant_steps, constant_ratio, max_steps;
  double min_lr = 0;
  static void describe(OptionSet<T5Options>& o) {
    o("max_steps", &T5Options::max_steps, "steps of the whole schedule; filled from the trainer", "steps");
    o("constant_steps", &T5Options::constant_steps, "steps at the first rate, which is 1/sqrt(constant_steps)",
      "steps");
    o("constant_ratio", &T5Options::constant_ratio,
      "constant_steps as a share of max_steps; NeMo cannot build it from this alone");
    o("min_lr", &T5Options::min_lr, "rate after max_steps");
    describe_common(o);
  }
};
// 1/sqrt(step): the optimizer's own rate plays no part.
class T5InverseSquareRootAnnealing final : public Scheduler {
 public:
  using Options = T5Options;
  explicit T5InverseSquareRootAnnealing(const Options& o) : max_steps_(o.max_steps), min_lr_(o.min_lr) {
    need_fresh(o);
    need_max_steps(max_steps_);
    constant_steps_ = steps_or_ratio(o.constant_steps, o.constant_ratio, o.max_steps, "constant");
    if (!o.constant_steps)
      throw Error(Code::kFailed, "T5InverseSquareRootAnnealing needs constant_steps").next("set constant_steps");
    constant_lr_ = ratio(1, root(*o.constant_steps, 0.5, "constant_steps"), "constant_steps");
  }
  std::vector<double> rates(const ScheduleStep& at) override {
    const auto step = static_cast<double>(at.step);
    double lr = constant_lr_;
    if (step > constant_steps_) lr = step > *max_steps_ ? min_lr_ : 1 / std::pow(step, 0.5);
    return std::vector<double>(at.base_lrs.size(), lr);
  }
  void state(StateFields& s) override {
    s("max_steps", max_steps_);
    s("constant_steps", constant_steps_);
    s("constant_lr", constant_lr_);
    s("min_lr", min_lr_);
  }

 private:
  std::optional<double> max_steps_;
  double min_lr_, constant_steps_ = 0, constant_lr_ = 0;
};

}  // namespace

void add_noam(Registry& r) {
  const std::string nemo = "nemo.core.optim.lr_scheduler.";
  r.add<NoamAnnealing>("NoamAnnealing", "the schedule of the Transformer", {nemo + "NoamAnnealing"});
  r.add<T5InverseSquareRootAnnealing>("T5InverseSquareRootAnnealing", "constant, then one over the root of the step",
                                      {nemo + "T5InverseSquareRootAnnealing"});
}

}  // namespace fathom::schedulers
