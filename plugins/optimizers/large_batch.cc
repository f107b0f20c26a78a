// LAMB (You et al. 2020) in the form of apex's FusedLAMB, which NeMo registers as `lamb`.
#include "plugins/optimizers/common.h"
#include "plugins/optimizers/kernels.h"

namespace fathom::optimizers {
namespace {

struct LambOptions {
  double lr = 1e-3, eps = 1e-6, weight_decay = 0.01, max_grad_norm = 1;
  std::vector<double> betas = {0.9, 0.999};
  bool bias_correction = true, amsgrad = false, adam_w_mode = true, grad_averaging = true, set_grad_none = true,
       use_nvlamb = false;
  static void describe(OptionSet<LambOptions>& o) {
    o("lr", &LambOptions::lr, "learning rate");
    o("bias_correction", &LambOptions::bias_correction, "correct the means for their start at 0");
    o("betas", &LambOptions::betas, "decay of the mean of the gradient and of its square");
    o("eps", &LambOptions::eps, "added to the denominator");
    o("weight_decay", &LambOptions::weight_decay, "weight decay");
    o("amsgrad", &LambOptions::amsgrad, "only false is supported, as in apex");
    o("adam_w_mode", &LambOptions::adam_w_mode, "decay beside the gradient instead of within it");
    o("grad_averaging", &LambOptions::grad_averaging, "weight the gradient with 1 - beta1");
    o("set_grad_none", &LambOptions::set_grad_none, "gradients are the trainer's here: only true is supported");
    o("max_grad_norm", &LambOptions::max_grad_norm, "clip the norm of all gradients to this");
    o("use_nvlamb", &LambOptions::use_nvlamb, "scale the step of parameters without weight decay too");
  }
};

class Lamb final : public Optimizer<LambOptions> {
 public:
  using Optimizer::Optimizer;
  void validate(const LambOptions& o) const override {
    need_not_negative(o.lr, "lr");
    need_not_negative(o.eps, "eps");
    need_betas(o.betas, 2);
    need_not_negative(o.weight_decay, "weight_decay");
    if (!(o.max_grad_norm > 0)) invalid("max_grad_norm", text_of(o.max_grad_norm), "a positive number");
    if (o.amsgrad) throw Error(Code::kFailed, "LAMB has no AMSGrad variant").at("amsgrad").next("leave amsgrad out");
    if (!o.set_grad_none)
      throw Error(Code::kFailed, "`set_grad_none: false` is not supported: the trainer owns the gradients")
          .at("set_grad_none");
  }
  std::vector<StateSlot> slots(const LambOptions&) const override { return {{"exp_avg"}, {"exp_avg_sq"}}; }
  bool in_param_groups(std::string_view name) const override {
    return name != "adam_w_mode" && name != "set_grad_none" && name != "use_nvlamb" && name != "amsgrad";
  }
  bool keeps_group_step() const override { return true; }
  bool wants_all_gradients() const override { return true; }
  void before_step(const std::vector<const at::Tensor*>& gradients) override {
    double squares = 0;
    for (const at::Tensor* gradient : gradients) squares += sum_of_squares(*gradient);
    norm_ = std::sqrt(squares);
  }
  void update(LambOptions& o, UpdateBatch& b) override {
    const auto step = static_cast<double>(b.group_steps);
    const double clip = norm_ > o.max_grad_norm ? norm_ / o.max_grad_norm : 1.0;
    const bool beside = defaults().adam_w_mode;
    for (size_t i = 0; i < b.size(); ++i) {
      at::Tensor direction = at::empty_like(b.parameters[i]);
      const int64_t count = b.parameters[i].numel();
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(LambKernel<T>{data<T>(direction), data<T>(b.state[0][i]), data<T>(b.state[1][i]),
                          values<T>(b.parameters[i]), values<T>(b.gradients[i]), T(clip),
                          T(beside ? 0 : o.weight_decay), T(beside ? o.weight_decay : 0), T(o.betas[0]),
                          T(o.grad_averaging ? 1 - o.betas[0] : 1.0), Decay<T>(o.betas[1]), T(o.eps),
                          T(o.bias_correction ? 1 - std::pow(o.betas[0], step) : 1.0),
                          T(o.bias_correction ? 1 - std::pow(o.betas[1], step) : 1.0)},
            count);
        double scale = o.lr;
        if (defaults().use_nvlamb || o.weight_decay != 0) {
          const double weights = std::sqrt(sum_of_squares(b.parameters[i])),
                       size = std::sqrt(sum_of_squares(direction));
          if (weights != 0 && size != 0) scale *= weights / size;
        }
        run(AxpyKernel<T>{data<T>(b.parameters[i]), values<T>(direction), T(scale)}, count);
      });
    }
  }

 private:
  double norm_ = 0;
};

}  // namespace

void add_large_batch(Registry& r) {
  r.add<Lamb>("lamb", "Adam with a step per tensor in proportion to its weights", {"apex.optimizers.FusedLAMB"});
}

}  // namespace fathom::optimizers
