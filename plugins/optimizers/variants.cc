// Further optimizers of PyTorch: RAdam (Liu et al. 2020), NAdam (Dozat 2016), ASGD (Polyak, Juditsky 1992). NeMo's
// registry does not know them, so they are registered by class path only.
#include "plugins/optimizers/common.h"
#include "plugins/optimizers/kernels.h"

namespace fathom::optimizers {
namespace {

struct RadamOptions : Switches {
  double lr = 1e-3, eps = 1e-8, weight_decay = 0;
  std::vector<double> betas = {0.9, 0.999};
  bool decoupled_weight_decay = false;
  static void describe(OptionSet<RadamOptions>& o) {
    o("lr", &RadamOptions::lr, "learning rate");
    o("betas", &RadamOptions::betas, "decay of the mean of the gradient and of its square");
    o("eps", &RadamOptions::eps, "added to the denominator");
    o("weight_decay", &RadamOptions::weight_decay, "added to the gradient, times the parameter");
    o("decoupled_weight_decay", &RadamOptions::decoupled_weight_decay, "decay the parameter itself, as AdamW does");
    describe_switches(o, kCapturable);
  }
};
template <typename O>
void need_adam_like(const O& o) {
  need_not_negative(o.lr, "lr");
  need_not_negative(o.eps, "eps");
  need_betas(o.betas, 2);
  need_not_negative(o.weight_decay, "weight_decay");
  need_switches(o);
}

class RAdam final : public CpuOptimizer<RadamOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const RadamOptions& o) const override { need_adam_like(o); }
  std::vector<StateSlot> slots(const RadamOptions&) const override {
    return {{"step", StateKind::kStep}, {"exp_avg"}, {"exp_avg_sq"}};
  }
  void update(RadamOptions& o, UpdateBatch& b) override {
    b.advance(0);
    const double rho_inf = 2 / (1 - o.betas[1]) - 1;
    for (size_t i = 0; i < b.size(); ++i) {
      const double step = b.count(0, i), correction1 = 1 - std::pow(o.betas[0], step),
                   decayed = std::pow(o.betas[1], step);
      const double correction2 = 1 - decayed, rho = rho_inf - 2 * step * decayed / correction2;
      const bool rectified = rho > 5;
      const double rectification =
          rectified ? std::sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) : 1.0;
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(RadamKernel<T>{data<T>(b.parameters[i]), data<T>(b.state[1][i]), data<T>(b.state[2][i]),
                           values<T>(b.gradients[i]), T(o.maximize ? -1 : 1),
                           T(o.decoupled_weight_decay ? 1 - o.lr * o.weight_decay : 1.0),
                           T(o.decoupled_weight_decay ? 0 : o.weight_decay), Decay<T>(o.betas[0]), Decay<T>(o.betas[1]),
                           T(o.eps), T(o.lr * rectification / correction1), T(std::sqrt(correction2)), rectified},
            b.parameters[i].numel());
      });
    }
  }
};

struct NadamOptions : Switches {
  double lr = 2e-3, eps = 1e-8, weight_decay = 0, momentum_decay = 4e-3;
  std::vector<double> betas = {0.9, 0.999};
  bool decoupled_weight_decay = false;
  static void describe(OptionSet<NadamOptions>& o) {
    o("lr", &NadamOptions::lr, "learning rate");
    o("betas", &NadamOptions::betas, "decay of the mean of the gradient and of its square");
    o("eps", &NadamOptions::eps, "added to the denominator");
    o("weight_decay", &NadamOptions::weight_decay, "added to the gradient, times the parameter");
    o("momentum_decay", &NadamOptions::momentum_decay, "how fast the momentum's warm-up ends");
    o("decoupled_weight_decay", &NadamOptions::decoupled_weight_decay, "decay the parameter itself, as AdamW does");
    describe_switches(o, kCapturable);
  }
};
class NAdam final : public CpuOptimizer<NadamOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const NadamOptions& o) const override {
    need_adam_like(o);
    need_not_negative(o.momentum_decay, "momentum_decay");
  }
  std::vector<StateSlot> slots(const NadamOptions&) const override {
    return {{"step", StateKind::kStep}, {"mu_product", StateKind::kStep}, {"exp_avg"}, {"exp_avg_sq"}};
  }
  at::Tensor initial(const NadamOptions& o, const StateSlot& slot, const at::Tensor& p) const override {
    at::Tensor value = Optimizer::initial(o, slot, p);
    if (slot.name == "mu_product") value.fill_(1);
    return value;
  }
  void update(NadamOptions& o, UpdateBatch& b) override {
    b.advance(0);
    for (size_t i = 0; i < b.size(); ++i) {
      const double step = b.count(0, i);
      const auto momentum = [&](double at) { return o.betas[0] * (1 - 0.5 * std::pow(0.96, at * o.momentum_decay)); };
      const double mu = momentum(step), mu_next = momentum(step + 1);
      float& product = *b.state[1][i].mutable_data_ptr<float>();  // PyTorch keeps it in float32
      product *= static_cast<float>(mu);
      const double done = product;
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(NadamKernel<T>{data<T>(b.parameters[i]), data<T>(b.state[2][i]), data<T>(b.state[3][i]),
                           values<T>(b.gradients[i]), T(o.maximize ? -1 : 1),
                           T(o.decoupled_weight_decay ? 1 - o.lr * o.weight_decay : 1.0),
                           T(o.decoupled_weight_decay ? 0 : o.weight_decay), Decay<T>(o.betas[0]), Decay<T>(o.betas[1]),
                           T(o.eps), T(1 - std::pow(o.betas[1], step)), T(o.lr * (1 - mu) / (1 - done)),
                           T(o.lr * mu_next / (1 - done * mu_next))},
            b.parameters[i].numel());
      });
    }
  }
};

struct AsgdOptions : Switches {
  double lr = 1e-2, lambd = 1e-4, alpha = 0.75, t0 = 1e6, weight_decay = 0;
  static void describe(OptionSet<AsgdOptions>& o) {
    o("lr", &AsgdOptions::lr, "learning rate");
    o("lambd", &AsgdOptions::lambd, "decay term");
    o("alpha", &AsgdOptions::alpha, "power of the rate's decay");
    o("t0", &AsgdOptions::t0, "step at which averaging starts", "steps");
    o("weight_decay", &AsgdOptions::weight_decay, "added to the gradient, times the parameter");
    describe_switches(o, kCapturable);
  }
};
class Asgd final : public CpuOptimizer<AsgdOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const AsgdOptions& o) const override {
    need_not_negative(o.lr, "lr");
    need_not_negative(o.weight_decay, "weight_decay");
    need_switches(o);
  }
  std::vector<StateSlot> slots(const AsgdOptions&) const override {
    return {{"step", StateKind::kStep}, {"eta", StateKind::kStep}, {"mu", StateKind::kStep}, {"ax"}};
  }
  at::Tensor initial(const AsgdOptions& o, const StateSlot& slot, const at::Tensor& p) const override {
    at::Tensor value = Optimizer::initial(o, slot, p);
    if (slot.name == "eta") value.fill_(o.lr);
    if (slot.name == "mu") value.fill_(1);
    return value;
  }
  void update(AsgdOptions& o, UpdateBatch& b) override {
    b.advance(0);
    for (size_t i = 0; i < b.size(); ++i) {
      float &eta = *b.state[1][i].mutable_data_ptr<float>(), &mu = *b.state[2][i].mutable_data_ptr<float>();
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(AsgdKernel<T>{data<T>(b.parameters[i]), data<T>(b.state[3][i]), values<T>(b.gradients[i]),
                          T(o.maximize ? -1 : 1), T(o.weight_decay), T(1 - o.lambd * eta), T(eta), T(mu)},
            b.parameters[i].numel());
      });
      const double step = b.count(0, i);
      eta = static_cast<float>(o.lr / std::pow(1 + o.lambd * o.lr * step, o.alpha));
      mu = static_cast<float>(1 / std::max(1.0, step - o.t0));
    }
  }
};

}  // namespace

void add_variants(Registry& r) {
  r.add<RAdam>("torch.optim.RAdam", "Adam with a rectified variance", {"torch.optim.radam.RAdam"});
  r.add<NAdam>("torch.optim.NAdam", "Adam with Nesterov's momentum", {"torch.optim.nadam.NAdam"});
  r.add<Asgd>("torch.optim.ASGD", "averaged stochastic gradient descent", {"torch.optim.asgd.ASGD"});
}

}  // namespace fathom::optimizers
