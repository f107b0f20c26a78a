// SWALR: PyTorch's, from the rate in force to a constant one, for weights that are averaged from then on.
#include <numbers>

#include "plugins/schedulers/common.h"

namespace fathom::schedulers {
namespace {

struct SwaOptions : CommonOptions {
  Json swa_lr = nullptr;
  int64_t anneal_epochs = 10;
  std::string anneal_strategy = "cos";
  static void describe(OptionSet<SwaOptions>& o) {
    o.required("swa_lr", &SwaOptions::swa_lr, "the constant rate, or one for each parameter group");
    o("anneal_epochs", &SwaOptions::anneal_epochs, "epochs until the rate is swa_lr; 0: at once");
    o("anneal_strategy", &SwaOptions::anneal_strategy, "cos or linear");
    describe_common(o);
  }
};

class SwaLr final : public Scheduler {
 public:
  using Options = SwaOptions;
  explicit SwaLr(const Options& o) : anneal_epochs_(o.anneal_epochs), strategy_(o.anneal_strategy) {
    need_fresh(o);
    if (strategy_ != "cos" && strategy_ != "linear")
      throw Error(Code::kFailed, "is no way to anneal").at("anneal_strategy").seen(strategy_).expected("cos or linear");
    if (anneal_epochs_ < 0) {
      throw Error(Code::kFailed, "is no number of epochs")
          .at("anneal_epochs")
          .seen(std::to_string(anneal_epochs_))
          .expected("0 or more");
    }
    rates_ = o.swa_lr.is_array() ? options_detail::read<std::vector<double>>(o.swa_lr, "swa_lr")
                                 : std::vector{options_detail::read<double>(o.swa_lr, "swa_lr")};
  }
  const char* interval() const override { return "epoch"; }

  // Each rate is led back to where its annealing began, so that one that was changed by hand goes on from there.
  std::vector<double> rates(const ScheduleStep& at) override {
    if (rates_.size() == 1) rates_.assign(at.lrs.size(), rates_[0]);
    if (rates_.size() != at.lrs.size()) {
      throw Error(Code::kFailed, "there is not one rate for each parameter group")
          .at("swa_lr")
          .seen(std::to_string(rates_.size()))
          .expected(std::to_string(at.lrs.size()));
    }
    const int64_t step = anneal_epochs_ == 0 ? std::max<int64_t>(1, at.step) : at.step;
    const double before = annealed(step - 1), now = annealed(step);
    std::vector<double> out;
    for (size_t group = 0; group < at.lrs.size(); ++group) {
      const double swa = rates_[group];
      const double start = before == 1 ? swa : (at.lrs[group] - before * swa) / (1 - before);
      out.push_back(swa * now + start * (1 - now));
    }
    return out;
  }
  void state(StateFields& s) override {
    s("anneal_epochs", anneal_epochs_);
    s("_anneal_strategy", strategy_);
  }

 private:
  double annealed(int64_t step) const {
    const double done =
        std::clamp(static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, anneal_epochs_)), 0.0, 1.0);
    return strategy_ == "linear" ? done : (1 - std::cos(std::numbers::pi * done)) / 2;
  }

  int64_t anneal_epochs_;
  std::string strategy_;
  std::vector<double> rates_;
};

}  // namespace

void add_swa(Registry& r) {
  r.add<SwaLr>("torch.optim.swa_utils.SWALR", "anneals the rate to a constant one, for weights that are averaged");
}

}  // namespace fathom::schedulers
