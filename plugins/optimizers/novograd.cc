// NovoGrad (Ginsburg et al. 2019) as in NeMo: one second moment per tensor, kept in float32.
#include "plugins/optimizers/common.h"
#include "plugins/optimizers/kernels.h"

namespace fathom::optimizers {
namespace {

struct NovogradOptions {
  double lr = 1e-3, eps = 1e-8, weight_decay = 0, luc_trust = 1e-3, luc_eps = 1e-8;
  std::vector<double> betas = {0.95, 0.98};
  bool grad_averaging = false, amsgrad = false, luc = false;
  static void describe(OptionSet<NovogradOptions>& o) {
    o("lr", &NovogradOptions::lr, "learning rate");
    o("betas", &NovogradOptions::betas, "decay of the momentum and of the squared norm");
    o("eps", &NovogradOptions::eps, "added to the norm");
    o("weight_decay", &NovogradOptions::weight_decay, "added to the normalised gradient, times the parameter");
    o("grad_averaging", &NovogradOptions::grad_averaging, "weight the gradient with 1 - beta1");
    o("amsgrad", &NovogradOptions::amsgrad, "divide by the largest norm so far");
    o("luc", &NovogradOptions::luc, "layer-wise update clipping: updates stay below luc_trust times the weights");
    o("luc_trust", &NovogradOptions::luc_trust, "share of the weights' norm that an update may have");
    o("luc_eps", &NovogradOptions::luc_eps, "added to the update's norm");
  }
};

class Novograd final : public CpuOptimizer<NovogradOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const NovogradOptions& o) const override {
    need_not_negative(o.lr, "lr");
    need_not_negative(o.eps, "eps");
    need_betas(o.betas, 2);
  }
  std::vector<StateSlot> slots(const NovogradOptions& o) const override {
    std::vector<StateSlot> out = {{"step", StateKind::kInteger}, {"exp_avg"}, {"exp_avg_sq", StateKind::kStep}};
    if (o.amsgrad) out.push_back({"max_exp_avg_sq", StateKind::kStep});
    return out;
  }
  bool in_param_groups(std::string_view name) const override { return name.substr(0, 3) != "luc"; }

  void update(NovogradOptions& o, UpdateBatch& b) override {
    b.advance(0);
    const auto beta2 = static_cast<float>(o.betas[1]), rest = static_cast<float>(1.0 - o.betas[1]);
    for (size_t i = 0; i < b.size(); ++i) {
      const auto norm = static_cast<float>(sum_of_squares(b.gradients[i]));
      float& second = *b.state[2][i].mutable_data_ptr<float>();
      second = second == 0 ? norm : beta2 * second + rest * norm;
      float used = second;
      if (o.amsgrad) {
        float& largest = *b.state[3][i].mutable_data_ptr<float>();
        if (used > largest || used != used) largest = used;
        used = largest;
      }
      const float denominator = std::sqrt(used) + static_cast<float>(o.eps);
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        NovogradKernel<T> kernel{data<T>(b.parameters[i]),
                                 data<T>(b.state[1][i]),
                                 values<T>(b.gradients[i]),
                                 T(1) / T(denominator),
                                 T(o.weight_decay),
                                 T(o.grad_averaging ? 1 - o.betas[0] : 1.0),
                                 T(o.betas[0]),
                                 T(o.lr)};
        const int64_t count = b.parameters[i].numel();
        // Clipping is an option of the whole optimizer, not of a group.
        if (!defaults().luc) return run(kernel, count);
        kernel.lr = 0;
        run(kernel, count);
        const double weights = std::sqrt(sum_of_squares(b.parameters[i])),
                     update = std::sqrt(sum_of_squares(b.state[1][i]));
        const double factor = std::min(defaults().luc_trust * weights / (update + defaults().luc_eps), o.lr);
        run(AxpyKernel<T>{data<T>(b.parameters[i]), values<T>(b.state[1][i]), T(factor)}, count);
      });
    }
  }
};

}  // namespace

void add_novograd(Registry& r) {
  r.add<Novograd>("novograd", "normalised gradients with one second moment per tensor",
                  {"nemo.core.optim.Novograd", "nemo.core.optim.novograd.Novograd"});
}

}  // namespace fathom::optimizers
