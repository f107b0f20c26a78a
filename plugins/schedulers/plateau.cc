// PyTorch's ReduceLROnPlateau: lowers the rate when a watched metric has stopped improving.
#include <limits>

#include "plugins/schedulers/common.h"

namespace fathom::schedulers {
namespace {

struct PlateauOptions {
  std::string mode = "min", threshold_mode = "rel";
  double factor = 0.1, threshold = 1e-4, eps = 1e-8;
  int64_t patience = 10, cooldown = 0;
  Json min_lr = 0;
  static void describe(OptionSet<PlateauOptions>& o) {
    o("mode", &PlateauOptions::mode, "min or max: which way the metric improves");
    o("factor", &PlateauOptions::factor, "factor on the rate, below 1");
    o("patience", &PlateauOptions::patience, "epochs without improvement that are let pass", "epochs");
    o("threshold", &PlateauOptions::threshold, "smallest change that counts as an improvement");
    o("threshold_mode", &PlateauOptions::threshold_mode, "rel: threshold times the best; abs: the threshold itself");
    o("cooldown", &PlateauOptions::cooldown, "epochs after a reduction in which none are counted", "epochs");
    o("min_lr", &PlateauOptions::min_lr, "lowest rate: a number, or one per group");
    o("eps", &PlateauOptions::eps, "smaller changes of the rate are not made");
  }
};

class ReduceLROnPlateau final : public Scheduler {
 public:
  using Options = PlateauOptions;
  ReduceLROnPlateau(const Options& o, const Json& context)
      : mode_(o.mode),
        threshold_mode_(o.threshold_mode),
        factor_(o.factor),
        threshold_(o.threshold),
        eps_(o.eps),
        patience_(o.patience),
        cooldown_(o.cooldown) {
    if (!(factor_ < 1)) throw Error(Code::kFailed, "factor must be below 1").seen(text_of(factor_));
    if (mode_ != "min" && mode_ != "max") throw Error(Code::kFailed, "unknown mode").seen(mode_).expected("min or max");
    if (threshold_mode_ != "rel" && threshold_mode_ != "abs") {
      throw Error(Code::kFailed, "unknown threshold_mode").seen(threshold_mode_).expected("rel or abs");
    }
    const size_t groups = context.contains("base_lrs") ? context["base_lrs"].size() : 0;
    if (o.min_lr.is_number()) {
      default_min_lr_ = o.min_lr.get<double>();
      min_lrs_.assign(groups, *default_min_lr_);
    } else {
      min_lrs_ = options_detail::read<std::vector<double>>(o.min_lr, "min_lr");
      if (min_lrs_.size() != groups) {
        throw Error(Code::kFailed, "min_lr needs one number per parameter group")
            .seen(json_text(o.min_lr))
            .expected(std::to_string(groups));
      }
    }
    best_ = worst();
  }
  const char* interval() const override { return "epoch"; }
  bool needs_monitor() const override { return true; }
  bool counts_steps() const override { return false; }

  std::vector<double> rates(const ScheduleStep& at) override {
    if (at.step == 0) return at.lrs;
    if (!at.monitor)
      throw Error(Code::kFailed, "ReduceLROnPlateau needs the metric it watches")
          .next("set sched.monitor to a logged metric");
    if (better(*at.monitor)) {
      best_ = *at.monitor;
      num_bad_epochs_ = 0;
    } else {
      ++num_bad_epochs_;
    }
    if (cooldown_counter_ > 0) {
      --cooldown_counter_;
      num_bad_epochs_ = 0;
    }
    std::vector<double> out = at.lrs;
    if (num_bad_epochs_ > patience_) {
      for (size_t i = 0; i < out.size(); ++i) {
        const double lower = std::max(out[i] * factor_, min_lrs_.at(i));
        if (out[i] - lower > eps_) out[i] = lower;
      }
      cooldown_counter_ = cooldown_;
      num_bad_epochs_ = 0;
    }
    return out;
  }
  void state(StateFields& s) override {
    s("factor", factor_);
    s("default_min_lr", default_min_lr_);
    s("min_lrs", min_lrs_);
    s("patience", patience_);
    s("cooldown", cooldown_);
    s("eps", eps_);
    s("mode", mode_);
    s("threshold", threshold_);
    s("threshold_mode", threshold_mode_);
    s("best", best_);
    s("cooldown_counter", cooldown_counter_);
    s("num_bad_epochs", num_bad_epochs_);
    double mode_worse = worst();  // follows from the mode
    s("mode_worse", mode_worse);
  }

 private:
  double worst() const {
    const double infinity = std::numeric_limits<double>::infinity();
    return mode_ == "min" ? infinity : -infinity;
  }
  bool better(double value) const {
    const bool relative = threshold_mode_ == "rel";
    if (mode_ == "min") return value < (relative ? best_ * (1 - threshold_) : best_ - threshold_);
    return value > (relative ? best_ * (threshold_ + 1) : best_ + threshold_);
  }
  std::string mode_, threshold_mode_;
  double factor_, threshold_, eps_, best_ = 0;
  int64_t patience_, cooldown_, cooldown_counter_ = 0, num_bad_epochs_ = 0;
  std::optional<double> default_min_lr_;
  std::vector<double> min_lrs_;
};

}  // namespace

void add_plateau(Registry& r) {
  r.add<ReduceLROnPlateau>("ReduceLROnPlateau", "lower the rate when a metric has stopped improving",
                           {"torch.optim.lr_scheduler.ReduceLROnPlateau"});
}

}  // namespace fathom::schedulers
