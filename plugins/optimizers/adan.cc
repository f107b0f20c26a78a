// Adan (Xie et al. 2022) as in NeMo: momentum of the gradient and of its difference to the one before.
#include "plugins/optimizers/common.h"
#include "plugins/optimizers/kernels.h"

namespace fathom::optimizers {
namespace {

struct AdanOptions {
  double lr = 1e-3, eps = 1e-8, weight_decay = 0, max_grad_norm = 0;
  std::vector<double> betas = {0.98, 0.92, 0.99};
  bool no_prox = false, foreach = true, fused = false;
  static void describe(OptionSet<AdanOptions>& o) {
    o("lr", &AdanOptions::lr, "learning rate");
    o("betas", &AdanOptions::betas, "decay of the mean of the gradient, of its difference, and of the square of both");
    o("eps", &AdanOptions::eps, "added to the denominator");
    o("weight_decay", &AdanOptions::weight_decay, "decoupled weight decay");
    o("max_grad_norm", &AdanOptions::max_grad_norm, "clip the norm of all gradients to this; 0 = off");
    o("no_prox", &AdanOptions::no_prox, "decay before the update, as AdamW does, instead of dividing after it");
    o("foreach", &AdanOptions::foreach, "NeMo's choice of kernel; the result is the same");
    o("fused", &AdanOptions::fused, "NeMo's CUDA kernel; only false is supported");
  }
};

class Adan final : public CpuOptimizer<AdanOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const AdanOptions& o) const override {
    need_not_negative(o.max_grad_norm, "max_grad_norm");
    need_not_negative(o.lr, "lr");
    need_not_negative(o.eps, "eps");
    need_betas(o.betas, 3);
    if (o.fused)
      throw Error(Code::kFailed, "`fused: true` of Adan is a CUDA kernel and not supported")
          .at("fused")
          .next("leave fused out");
  }
  std::vector<StateSlot> slots(const AdanOptions&) const override {
    return {{"exp_avg"}, {"exp_avg_sq"}, {"exp_avg_diff"}, {"neg_pre_grad", StateKind::kOwn}};
  }
  bool keeps_group_step() const override { return true; }
  // The norm is that of all groups, the limit that of the optimizer, and eps the last group's, as in NeMo, which sums
  // in float32. The root is libtorch's, whose last bit is not always that of std::sqrt.
  bool wants_all_gradients() const override { return defaults().max_grad_norm > 0; }
  void before_step(const std::vector<const at::Tensor*>& gradients) override {
    float squares = 0;
    for (const at::Tensor* gradient : gradients) squares += static_cast<float>(sum_of_squares(*gradient));
    const float norm = at::full({1}, squares, at::kFloat).sqrt_().item<float>();
    const auto limit = static_cast<float>(defaults().max_grad_norm);
    const float factor = limit / (norm + static_cast<float>(options(group_count() - 1).eps));
    clip_ = factor > 1 ? 1 : factor;  // not a number stays none
  }
  void update(AdanOptions& o, UpdateBatch& b) override {
    const auto step = static_cast<double>(b.group_steps);
    const double correction1 = 1 - std::pow(o.betas[0], step), correction2 = 1 - std::pow(o.betas[1], step);
    const double correction3 = std::sqrt(1 - std::pow(o.betas[2], step)), decay = o.lr * o.weight_decay;
    for (size_t i = 0; i < b.size(); ++i) {
      at::Tensor& before = b.state[3][i];
      if (!before.defined() || b.group_steps == 1) before = b.gradients[i].mul(-static_cast<double>(clip_));
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(AdanKernel<T>{data<T>(b.parameters[i]), data<T>(b.state[0][i]), data<T>(b.state[1][i]),
                          data<T>(b.state[2][i]), data<T>(before), values<T>(b.gradients[i]), T(clip_),
                          Decay<T>(o.betas[0]), Decay<T>(o.betas[1]), Decay<T>(o.betas[2]), T(o.eps),
                          T(1 / correction3), T(o.lr / correction1), T(o.lr * o.betas[1] / correction2),
                          T(o.no_prox ? 1 - decay : 1.0), T(o.no_prox ? 1.0 : 1 / (1 + decay))},
            b.parameters[i].numel());
      });
    }
  }

 private:
  float clip_ = 1;
};

}  // namespace

void add_adan(Registry& r) {
  r.add<Adan>("adan", "adaptive Nesterov momentum", {"nemo.core.optim.Adan", "nemo.core.optim.adan.Adan"});
}

}  // namespace fathom::optimizers
