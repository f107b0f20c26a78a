// PyTorch's cyclic schedulers: CyclicLR (Smith 2017), OneCycleLR (Smith, Topin 2019), CosineAnnealingWarmRestarts
// (Loshchilov, Hutter 2017). The first two move the momentum against the rate.
#include <numbers>

#include "plugins/schedulers/common.h"

namespace fathom::schedulers {
namespace {

// A number for every group, or a list of one per group.
std::vector<double> per_group(const Json& value, size_t groups, const char* name) {
  if (value.is_number()) return std::vector<double>(groups, value.get<double>());
  const auto out = options_detail::read<std::vector<double>>(value, name);
  if (out.size() != groups) {
    throw Error(Code::kFailed, "option needs one number per parameter group")
        .at(name)
        .seen(json_text(value))
        .expected(std::to_string(groups) + " numbers");
  }
  return out;
}
size_t groups_of(const Json& context) {
  if (!context.contains("base_lrs"))
    throw Error(Code::kInternal, "a scheduler was made without the optimizer's base_lrs");
  return context["base_lrs"].size();
}

// Which option of the optimizer is cycled: its momentum, or the first beta of Adam's family.
std::string momentum_name(const Json& context, bool cycle) {
  if (!cycle) return "";
  const Json optimizer = context.value("optimizer", Json::object());
  if (optimizer.contains("betas")) return "betas[0]";
  if (optimizer.contains("momentum")) return "momentum";
  throw Error(Code::kFailed, "cycle_momentum needs an optimizer with a momentum or betas")
      .next("set cycle_momentum: false");
}

struct CyclicOptions : CommonOptions {
  Json base_lr, max_lr, base_momentum = 0.8, max_momentum = 0.9;
  double step_size_up = 2000, gamma = 1;
  std::optional<double> step_size_down;
  std::string mode = "triangular", scale_mode = "cycle";
  bool cycle_momentum = true;
  static void describe(OptionSet<CyclicOptions>& o) {
    o.required("base_lr", &CyclicOptions::base_lr,
               "lowest rate: a number, or one per group; takes the place of the optimizer's lr");
    o.required("max_lr", &CyclicOptions::max_lr, "highest rate: a number, or one per group");
    o("step_size_up", &CyclicOptions::step_size_up, "steps from base_lr to max_lr", "steps");
    o("step_size_down", &CyclicOptions::step_size_down, "steps back; null: as many", "steps");
    o("mode", &CyclicOptions::mode,
      "triangular, triangular2 (half as high every cycle) or exp_range (gamma to the step)");
    o("gamma", &CyclicOptions::gamma, "base of exp_range");
    o("scale_mode", &CyclicOptions::scale_mode, "cycle; follows from the mode");
    o("cycle_momentum", &CyclicOptions::cycle_momentum, "move the momentum against the rate");
    o("base_momentum", &CyclicOptions::base_momentum, "momentum at max_lr: a number, or one per group");
    o("max_momentum", &CyclicOptions::max_momentum, "momentum at base_lr: a number, or one per group");
    describe_common(o);
  }
};
class CyclicLR final : public Scheduler {
 public:
  using Options = CyclicOptions;
  CyclicLR(const Options& o, const Json& context)
      : momentum_(momentum_name(context, o.cycle_momentum)),
        mode_(o.mode),
        scale_mode_(o.scale_mode),
        gamma_(o.gamma),
        cycle_momentum_(o.cycle_momentum) {
    need_fresh(o);
    if (mode_ != "triangular" && mode_ != "triangular2" && mode_ != "exp_range") {
      throw Error(Code::kFailed, "unknown mode of CyclicLR")
          .seen(mode_)
          .expected("triangular, triangular2 or exp_range");
    }
    scale_mode_ = mode_ == "exp_range" ? "iterations" : "cycle";
    const size_t groups = groups_of(context);
    set_base_lrs(per_group(o.base_lr, groups, "base_lr"));
    max_lrs_ = per_group(o.max_lr, groups, "max_lr");
    total_size_ = o.step_size_up + o.step_size_down.value_or(o.step_size_up);
    step_ratio_ = ratio(o.step_size_up, total_size_, "step_size_up + step_size_down");
    if (cycle_momentum_) {
      base_momentums_ = per_group(o.base_momentum, groups, "base_momentum");
      max_momentums_ = per_group(o.max_momentum, groups, "max_momentum");
    }
    use_beta1_ = momentum_ == "betas[0]";
  }
  std::vector<double> rates(const ScheduleStep& at) override {
    const double height = height_at(at.step);
    std::vector<double> out = at.base_lrs;
    for (size_t i = 0; i < out.size(); ++i) out[i] += (max_lrs_.at(i) - out[i]) * height;
    return out;
  }
  SecondOption second_option(const ScheduleStep& at) override {
    if (momentum_.empty()) return {};
    SecondOption out{momentum_, max_momentums_};
    const double height = height_at(at.step);
    for (size_t i = 0; i < out.values.size(); ++i) out.values[i] -= (out.values[i] - base_momentums_.at(i)) * height;
    return out;
  }
  void state(StateFields& s) override {
    s("max_lrs", max_lrs_);
    s("total_size", total_size_);
    s("step_ratio", step_ratio_);
    s("mode", mode_);
    s("gamma", gamma_);
    s("scale_mode", scale_mode_);
    s("cycle_momentum", cycle_momentum_);
    if (cycle_momentum_) {
      s("use_beta1", use_beta1_);
      s("base_momentums", base_momentums_);
      s("max_momentums", max_momentums_);
    }
    if (!s.loading()) s.json()["_scale_fn_custom"] = nullptr;
  }

 private:
  // Height in the triangle, 0 to 1, times the mode's scale.
  double height_at(int64_t taken) const {
    const auto step = static_cast<double>(taken);
    const double cycle = std::floor(1 + step / total_size_), x = 1 + step / total_size_ - cycle;
    const double height = x <= step_ratio_ ? x / step_ratio_ : (x - 1) / (step_ratio_ - 1);
    if (mode_ == "triangular2") return height * (1 / std::pow(2.0, cycle - 1));
    return mode_ == "exp_range" ? height * std::pow(gamma_, step) : height;
  }
  std::string momentum_, mode_, scale_mode_;
  double gamma_, total_size_ = 0, step_ratio_ = 0;
  bool cycle_momentum_, use_beta1_ = false;
  std::vector<double> max_lrs_, base_momentums_, max_momentums_;
};

struct OneCycleOptions : CommonOptions {
  Json max_lr, base_momentum = 0.85, max_momentum = 0.95;
  std::optional<int64_t> total_steps, epochs, steps_per_epoch;
  double pct_start = 0.3, div_factor = 25, final_div_factor = 1e4;
  std::string anneal_strategy = "cos";
  bool cycle_momentum = true, three_phase = false;
  static void describe(OptionSet<OneCycleOptions>& o) {
    o.required("max_lr", &OneCycleOptions::max_lr, "highest rate: a number, or one per group");
    o("total_steps", &OneCycleOptions::total_steps, "steps of the cycle; or give epochs and steps_per_epoch", "steps");
    o("epochs", &OneCycleOptions::epochs, "epochs of the cycle", "epochs");
    o("steps_per_epoch", &OneCycleOptions::steps_per_epoch, "steps of an epoch", "steps");
    o("pct_start", &OneCycleOptions::pct_start, "share of the cycle with a rising rate");
    o("anneal_strategy", &OneCycleOptions::anneal_strategy, "cos or linear");
    o("cycle_momentum", &OneCycleOptions::cycle_momentum, "move the momentum against the rate");
    o("base_momentum", &OneCycleOptions::base_momentum, "momentum at max_lr: a number, or one per group");
    o("max_momentum", &OneCycleOptions::max_momentum, "momentum at the ends: a number, or one per group");
    o("div_factor", &OneCycleOptions::div_factor, "the first rate is max_lr over this");
    o("final_div_factor", &OneCycleOptions::final_div_factor, "the last rate is the first one over this");
    o("three_phase", &OneCycleOptions::three_phase, "up, down as long, then to the last rate");
    describe_common(o);
  }
};
class OneCycleLR final : public Scheduler {
 public:
  using Options = OneCycleOptions;
  OneCycleLR(const Options& o, const Json& context)
      : momentum_(momentum_name(context, o.cycle_momentum)),
        strategy_(o.anneal_strategy),
        cycle_momentum_(o.cycle_momentum) {
    need_fresh(o);
    if (o.total_steps) {
      total_steps_ = *o.total_steps;
    } else {
      if (!o.epochs || !o.steps_per_epoch) {
        throw Error(Code::kFailed, "OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            .next("set total_steps");
      }
      if (*o.epochs <= 0 || *o.steps_per_epoch <= 0)
        throw Error(Code::kFailed, "epochs and steps_per_epoch must be positive");
      total_steps_ = *o.epochs * *o.steps_per_epoch;
    }
    if (total_steps_ <= 0)
      throw Error(Code::kFailed, "total_steps must be positive").seen(std::to_string(total_steps_));
    if (!(o.pct_start >= 0 && o.pct_start <= 1))
      throw Error(Code::kFailed, "pct_start must lie between 0 and 1").seen(text_of(o.pct_start));
    if (strategy_ != "cos" && strategy_ != "linear") {
      throw Error(Code::kFailed, "unknown anneal_strategy").seen(strategy_).expected("cos or linear");
    }
    const auto total = static_cast<double>(total_steps_);
    if (o.three_phase) {
      phases_ = {{o.pct_start * total - 1, kInitial, kTop, kHigh, kLow},
                 {2 * o.pct_start * total - 2, kTop, kInitial, kLow, kHigh},
                 {total - 1, kInitial, kBottom, kHigh, kHigh}};
    } else {
      phases_ = {{o.pct_start * total - 1, kInitial, kTop, kHigh, kLow}, {total - 1, kTop, kBottom, kLow, kHigh}};
    }
    const size_t groups = groups_of(context);
    lrs_[kTop] = per_group(o.max_lr, groups, "max_lr");
    for (const double top : lrs_[kTop]) {
      lrs_[kInitial].push_back(ratio(top, o.div_factor, "div_factor"));
      lrs_[kBottom].push_back(ratio(lrs_[kInitial].back(), o.final_div_factor, "final_div_factor"));
    }
    set_base_lrs(lrs_[kInitial]);
    if (cycle_momentum_) {
      momentums_[kLow] = per_group(o.base_momentum, groups, "base_momentum");
      momentums_[kHigh] = per_group(o.max_momentum, groups, "max_momentum");
    }
    use_beta1_ = momentum_ == "betas[0]";
  }
  std::vector<double> rates(const ScheduleStep& at) override {
    const auto [phase, done] = place(at.step);
    std::vector<double> out = at.base_lrs;
    for (size_t i = 0; i < out.size(); ++i) out[i] = anneal(lrs_[phase->start_lr][i], lrs_[phase->end_lr][i], done);
    return out;
  }
  SecondOption second_option(const ScheduleStep& at) override {
    if (momentum_.empty()) return {};
    const auto [phase, done] = place(at.step);
    SecondOption out{momentum_, at.base_lrs};
    for (size_t i = 0; i < out.values.size(); ++i) {
      out.values[i] = anneal(momentums_[phase->start_momentum][i], momentums_[phase->end_momentum][i], done);
    }
    return out;
  }
  void state(StateFields& s) override {
    s("total_steps", total_steps_);
    s("_anneal_func_type", strategy_);
    s("cycle_momentum", cycle_momentum_);
    if (cycle_momentum_) s("use_beta1", use_beta1_);
    phases_state(s);
  }

 private:
  enum Lr { kInitial, kTop, kBottom };
  enum Momentum { kLow, kHigh };
  static constexpr const char* kLrNames[] = {"initial_lr", "max_lr", "min_lr"};
  static constexpr const char* kMomentumNames[] = {"base_momentum", "max_momentum"};
  struct Phase {
    double end_step;
    Lr start_lr, end_lr;
    Momentum start_momentum, end_momentum;
  };

  void phases_state(StateFields& s) {
    if (!s.loading()) {
      Json list = Json::array();
      for (const Phase& p : phases_) {
        list.push_back({{"end_step", p.end_step},
                        {"start_lr", kLrNames[p.start_lr]},
                        {"end_lr", kLrNames[p.end_lr]},
                        {"start_momentum", kMomentumNames[p.start_momentum]},
                        {"end_momentum", kMomentumNames[p.end_momentum]}});
      }
      s.json()["_schedule_phases"] = std::move(list);
      return;
    }
    if (!s.json().contains("_schedule_phases")) return;
    const auto index = [](const auto& names, const Json& name) {
      for (size_t i = 0; i < std::size(names); ++i) {
        if (name == names[i]) return i;
      }
      throw Error(Code::kBadData, "unknown name in _schedule_phases").seen(json_text(name));
    };
    phases_.clear();
    for (const Json& p : s.json()["_schedule_phases"]) {
      phases_.push_back({p.at("end_step").get<double>(), static_cast<Lr>(index(kLrNames, p.at("start_lr"))),
                         static_cast<Lr>(index(kLrNames, p.at("end_lr"))),
                         static_cast<Momentum>(index(kMomentumNames, p.at("start_momentum"))),
                         static_cast<Momentum>(index(kMomentumNames, p.at("end_momentum")))});
    }
    if (phases_.empty()) throw Error(Code::kBadData, "_schedule_phases is empty");
  }
  std::pair<const Phase*, double> place(int64_t taken) const {
    if (taken > total_steps_) {
      throw Error(Code::kFailed, "OneCycleLR was asked for a step beyond its cycle")
          .seen("step " + std::to_string(taken))
          .expected("at most " + std::to_string(total_steps_))
          .next("raise total_steps");
    }
    const auto step = static_cast<double>(taken);
    double start = 0;
    for (const Phase& phase : phases_) {
      if (step <= phase.end_step || &phase == &phases_.back()) {
        return {&phase, ratio(step - start, phase.end_step - start, "a phase's length")};
      }
      start = phase.end_step;
    }
    throw Error(Code::kInternal, "a cycle without phases");
  }
  double anneal(double from, double to, double done) const {
    if (strategy_ == "linear") return (to - from) * done + from;
    return to + (from - to) / 2.0 * (std::cos(std::numbers::pi * done) + 1);
  }
  std::string momentum_, strategy_;
  bool cycle_momentum_, use_beta1_ = false;
  int64_t total_steps_ = 0;
  std::vector<Phase> phases_;
  std::vector<double> lrs_[3], momentums_[2];
};

struct RestartOptions : CommonOptions {
  int64_t t_0 = 0, t_mult = 1;
  double eta_min = 0;
  static void describe(OptionSet<RestartOptions>& o) {
    o.required("T_0", &RestartOptions::t_0, "steps until the first restart", "steps");
    o("T_mult", &RestartOptions::t_mult, "factor on the span after every restart");
    o("eta_min", &RestartOptions::eta_min, "lowest rate");
    describe_common(o);
  }
};
class CosineAnnealingWarmRestarts final : public Scheduler {
 public:
  using Options = RestartOptions;
  explicit CosineAnnealingWarmRestarts(const Options& o)
      : t_0_(o.t_0), t_mult_(o.t_mult), t_i_(o.t_0), eta_min_(o.eta_min) {
    need_fresh(o);
    if (t_0_ <= 0) throw Error(Code::kFailed, "T_0 must be a positive integer").seen(std::to_string(t_0_));
    if (t_mult_ < 1) throw Error(Code::kFailed, "T_mult must be an integer of 1 or more").seen(std::to_string(t_mult_));
  }
  std::vector<double> rates(const ScheduleStep& at) override {
    t_i_ = t_0_;
    t_cur_ = at.step;
    if (t_mult_ == 1) {
      t_cur_ %= t_0_;
    } else {
      while (t_cur_ >= t_i_) {
        t_cur_ -= t_i_;
        t_i_ *= t_mult_;
      }
    }
    const double factor =
        (1 + std::cos(std::numbers::pi * static_cast<double>(t_cur_) / static_cast<double>(t_i_))) / 2;
    std::vector<double> out = at.base_lrs;
    for (double& lr : out) lr = eta_min_ + (lr - eta_min_) * factor;
    return out;
  }
  int64_t step_count() const override { return 0; }  // PyTorch's class never counts
  void state(StateFields& s) override {
    s("T_0", t_0_);
    s("T_i", t_i_);
    s("T_mult", t_mult_);
    s("eta_min", eta_min_);
    s("T_cur", t_cur_);
  }

 private:
  int64_t t_0_, t_mult_, t_i_, t_cur_ = 0;
  double eta_min_;
};

}  // namespace

void add_torch_cyclic(Registry& r) {
  const std::string torch = "torch.optim.lr_scheduler.";
  r.add<CyclicLR>("CyclicLR", "triangles between two rates", {torch + "CyclicLR"});
  // Not in NeMo's registry: by class path only, so that the short names mean what they mean there.
  r.add<OneCycleLR>(torch + "OneCycleLR", "one rise and one long fall");
  r.add<CosineAnnealingWarmRestarts>(torch + "CosineAnnealingWarmRestarts", "half cosines with restarts");
}

}  // namespace fathom::schedulers
