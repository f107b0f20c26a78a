// Per-element step sizes: Adadelta (Zeiler 2012), Adamax (Kingma, Ba 2015), Adagrad (Duchi et al. 2011), RMSprop
// (Hinton 2012), all in PyTorch's form.
#include <ATen/ops/_fused_adagrad.h>
#include <ATen/ops/full_like.h>

#include "plugins/optimizers/common.h"
#include "plugins/optimizers/kernels.h"

namespace fathom::optimizers {
namespace {

constexpr const char* kDecayDoc = "added to the gradient, times the parameter";

struct AdadeltaOptions : Switches {
  double lr = 1, rho = 0.9, eps = 1e-6, weight_decay = 0;
  static void describe(OptionSet<AdadeltaOptions>& o) {
    o("lr", &AdadeltaOptions::lr, "factor on the update");
    o("rho", &AdadeltaOptions::rho, "decay of both mean squares");
    o("eps", &AdadeltaOptions::eps, "added under the roots");
    o("weight_decay", &AdadeltaOptions::weight_decay, kDecayDoc);
    describe_switches(o, kCapturable);
  }
};
class Adadelta final : public CpuOptimizer<AdadeltaOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const AdadeltaOptions& o) const override {
    need_not_negative(o.lr, "lr");
    if (!(o.rho >= 0 && o.rho <= 1)) invalid("rho", text_of(o.rho), "0 to 1");
    need_not_negative(o.eps, "eps");
    need_not_negative(o.weight_decay, "weight_decay");
    need_switches(o);
  }
  std::vector<StateSlot> slots(const AdadeltaOptions&) const override {
    return {{"step", StateKind::kStep}, {"square_avg"}, {"acc_delta"}};
  }
  void update(AdadeltaOptions& o, UpdateBatch& b) override {
    b.advance(0);
    for (size_t i = 0; i < b.size(); ++i) {
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(AdadeltaKernel<T>{data<T>(b.parameters[i]), data<T>(b.state[1][i]), data<T>(b.state[2][i]),
                              values<T>(b.gradients[i]), T(o.maximize ? -1 : 1), T(o.weight_decay), Decay<T>(o.rho),
                              T(o.eps), T(o.lr)},
            b.parameters[i].numel());
      });
    }
  }
};

struct AdamaxOptions : Switches {
  double lr = 2e-3, eps = 1e-8, weight_decay = 0;
  std::vector<double> betas = {0.9, 0.999};
  static void describe(OptionSet<AdamaxOptions>& o) {
    o("lr", &AdamaxOptions::lr, "learning rate");
    o("betas", &AdamaxOptions::betas, "decay of the mean of the gradient and of its largest size");
    o("eps", &AdamaxOptions::eps, "added to the gradient's size");
    o("weight_decay", &AdamaxOptions::weight_decay, kDecayDoc);
    describe_switches(o, kCapturable);
  }
};
class Adamax final : public CpuOptimizer<AdamaxOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const AdamaxOptions& o) const override {
    need_not_negative(o.lr, "lr");
    need_not_negative(o.eps, "eps");
    need_betas(o.betas, 2);
    need_not_negative(o.weight_decay, "weight_decay");
    need_switches(o);
  }
  std::vector<StateSlot> slots(const AdamaxOptions&) const override {
    return {{"step", StateKind::kStep}, {"exp_avg"}, {"exp_inf"}};
  }
  void update(AdamaxOptions& o, UpdateBatch& b) override {
    b.advance(0);
    for (size_t i = 0; i < b.size(); ++i) {
      const double step_size = o.lr / (1 - std::pow(o.betas[0], b.count(0, i)));
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(AdamaxKernel<T>{data<T>(b.parameters[i]), data<T>(b.state[1][i]), data<T>(b.state[2][i]),
                            values<T>(b.gradients[i]), T(o.maximize ? -1 : 1), T(o.weight_decay), Decay<T>(o.betas[0]),
                            T(o.betas[1]), T(o.eps), T(step_size)},
            b.parameters[i].numel());
      });
    }
  }
};

struct AdagradOptions : Switches {
  double lr = 1e-2, lr_decay = 0, weight_decay = 0, initial_accumulator_value = 0, eps = 1e-10;
  static void describe(OptionSet<AdagradOptions>& o) {
    o("lr", &AdagradOptions::lr, "learning rate");
    o("lr_decay", &AdagradOptions::lr_decay, "lr is divided by 1 + (step - 1) times this");
    o("weight_decay", &AdagradOptions::weight_decay, kDecayDoc);
    o("initial_accumulator_value", &AdagradOptions::initial_accumulator_value, "first value of the sum of squares");
    o("eps", &AdagradOptions::eps, "added to the denominator");
    describe_switches(o, kFused);
  }
};
class Adagrad final : public CpuOptimizer<AdagradOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const AdagradOptions& o) const override {
    need_not_negative(o.lr, "lr");
    need_not_negative(o.lr_decay, "lr_decay");
    need_not_negative(o.weight_decay, "weight_decay");
    need_not_negative(o.initial_accumulator_value, "initial_accumulator_value");
    need_not_negative(o.eps, "eps");
    need_switches(o);
  }
  std::vector<StateSlot> slots(const AdagradOptions&) const override {
    return {{"step", StateKind::kStep}, {"sum", StateKind::kOwn}};
  }
  bool has_state_from_start() const override { return true; }
  at::Tensor initial(const AdagradOptions& o, const StateSlot& slot, const at::Tensor& p) const override {
    return slot.name == "sum" ? at::full_like(p, o.initial_accumulator_value) : Optimizer::initial(o, slot, p);
  }
  void update(AdagradOptions& o, UpdateBatch& b) override {
    b.advance(0);
    at::_fused_adagrad_(b.parameters, b.gradients, b.state[1], b.state[0], o.lr, o.lr_decay, o.weight_decay, o.eps,
                        o.maximize);
  }
};

struct RmspropOptions : Switches {
  double lr = 1e-2, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
  bool centered = false;
  static void describe(OptionSet<RmspropOptions>& o) {
    o("lr", &RmspropOptions::lr, "learning rate");
    o("alpha", &RmspropOptions::alpha, "decay of the mean square");
    o("eps", &RmspropOptions::eps, "added to the denominator");
    o("weight_decay", &RmspropOptions::weight_decay, kDecayDoc);
    o("momentum", &RmspropOptions::momentum, "factor on the former update");
    o("centered", &RmspropOptions::centered, "divide by the deviation instead of the mean square");
    describe_switches(o, kCapturable);
  }
};
class RMSprop final : public CpuOptimizer<RmspropOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const RmspropOptions& o) const override {
    need_not_negative(o.lr, "lr");
    need_not_negative(o.eps, "eps");
    need_not_negative(o.momentum, "momentum");
    need_not_negative(o.weight_decay, "weight_decay");
    need_not_negative(o.alpha, "alpha");
    need_switches(o);
  }
  // The last two are there when first needed, since a schedule may give a momentum later.
  std::vector<StateSlot> slots(const RmspropOptions&) const override {
    return {{"step", StateKind::kStep},
            {"square_avg"},
            {"momentum_buffer", StateKind::kOwn},
            {"grad_avg", StateKind::kOwn}};
  }
  void update(RmspropOptions& o, UpdateBatch& b) override {
    b.advance(0);
    for (size_t i = 0; i < b.size(); ++i) {
      at::Tensor &buffer = b.state[2][i], &mean = b.state[3][i];
      if (o.momentum > 0 && !buffer.defined()) buffer = at::zeros_like(b.parameters[i]);
      if (o.centered && !mean.defined()) mean = at::zeros_like(b.parameters[i]);
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(RmspropKernel<T>{data<T>(b.parameters[i]), data<T>(b.state[1][i]), o.centered ? data<T>(mean) : nullptr,
                             o.momentum > 0 ? data<T>(buffer) : nullptr, values<T>(b.gradients[i]),
                             T(o.maximize ? -1 : 1), T(o.weight_decay), Decay<T>(o.alpha), T(o.eps), T(o.momentum),
                             T(o.lr)},
            b.parameters[i].numel());
      });
    }
  }
};

struct RpropOptions : Switches {
  double lr = 1e-2;
  std::vector<double> etas = {0.5, 1.2}, step_sizes = {1e-6, 50};
  static void describe(OptionSet<RpropOptions>& o) {
    o("lr", &RpropOptions::lr, "first step size of every element");
    o("etas", &RpropOptions::etas, "factors on the step size after a change of sign and without one");
    o("step_sizes", &RpropOptions::step_sizes, "smallest and largest step size");
    describe_switches(o, kCapturable);
  }
};
class Rprop final : public CpuOptimizer<RpropOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const RpropOptions& o) const override {
    need_not_negative(o.lr, "lr");
    if (o.etas.size() != 2 || !(o.etas[0] > 0 && o.etas[0] < 1 && o.etas[1] > 1)) {
      invalid("etas", json_text(Json(o.etas)), "two numbers, one between 0 and 1, one above 1");
    }
    if (o.step_sizes.size() != 2) invalid("step_sizes", json_text(Json(o.step_sizes)), "two numbers");
    need_switches(o);
  }
  std::vector<StateSlot> slots(const RpropOptions&) const override {
    return {{"step", StateKind::kStep}, {"prev"}, {"step_size", StateKind::kOwn}};
  }
  at::Tensor initial(const RpropOptions& o, const StateSlot& slot, const at::Tensor& p) const override {
    return slot.name == "step_size" ? at::full_like(p, o.lr) : Optimizer::initial(o, slot, p);
  }
  void update(RpropOptions& o, UpdateBatch& b) override {
    b.advance(0);
    for (size_t i = 0; i < b.size(); ++i) {
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(RpropKernel<T>{data<T>(b.parameters[i]), data<T>(b.state[1][i]), data<T>(b.state[2][i]),
                           values<T>(b.gradients[i]), T(o.maximize ? -1 : 1), T(o.etas[0]), T(o.etas[1]),
                           T(o.step_sizes[0]), T(o.step_sizes[1])},
            b.parameters[i].numel());
      });
    }
  }
};

}  // namespace

void add_adaptive(Registry& r) {
  r.add<Adadelta>("adadelta", "Adadelta", {"torch.optim.Adadelta", "torch.optim.adadelta.Adadelta"});
  r.add<Adamax>("adamax", "Adam with the infinity norm", {"torch.optim.Adamax", "torch.optim.adamax.Adamax"});
  r.add<Adagrad>("adagrad", "Adagrad", {"torch.optim.Adagrad", "torch.optim.adagrad.Adagrad"});
  r.add<RMSprop>("rmsprop", "RMSprop", {"torch.optim.RMSprop", "torch.optim.rmsprop.RMSprop"});
  r.add<Rprop>("rprop", "resilient backpropagation", {"torch.optim.Rprop", "torch.optim.rprop.Rprop"});
}

}  // namespace fathom::optimizers
