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

class Lamb final : public CpuOptimizer<LambOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
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
    // A step per tensor, in proportion to its weights, or one for all.
    const bool adapts = defaults().use_nvlamb || o.weight_decay != 0;
    for (size_t i = 0; i < b.size(); ++i) {
      at::Tensor& p = b.parameters[i];
      const int64_t count = p.numel();
      dispatch(p, [&](auto zero) {
        using T = decltype(zero);
        const LambKernel<T> kernel{adapts ? scratch<T>(p) : nullptr,
                                   data<T>(b.state[0][i]),
                                   data<T>(b.state[1][i]),
                                   values<T>(p),
                                   values<T>(b.gradients[i]),
                                   T(1 / clip),
                                   T(beside ? 0 : o.weight_decay),
                                   T(beside ? o.weight_decay : 0),
                                   T(o.betas[0]),
                                   T(o.grad_averaging ? 1 - o.betas[0] : 1.0),
                                   Decay<T>(o.betas[1]),
                                   T(o.eps),
                                   T(o.bias_correction ? 1 / (1 - std::pow(o.betas[0], step)) : 1.0),
                                   T(o.bias_correction ? 1 / (1 - std::pow(o.betas[1], step)) : 1.0)};
        if (!adapts) return run(LambStepKernel<T>{kernel, data<T>(p), T(o.lr)}, count);
        const LambSums sums = run_with_sums(kernel, count);
        const double weights = std::sqrt(sums.parameter), size = std::sqrt(sums.direction);
        const double scale = weights != 0 && size != 0 ? o.lr * weights / size : o.lr;
        run(AxpyKernel<T>{data<T>(p), kernel.direction, T(scale)}, count);
      });
    }
  }

 private:
  // One buffer for all directions of a type: its content lives during one tensor's update only.
  template <typename T>
  T* scratch(const at::Tensor& p) {
    if (!scratch_.defined() || scratch_.scalar_type() != p.scalar_type() || scratch_.numel() < p.numel())
      scratch_ = at::empty({p.numel()}, p.options().requires_grad(false));
    return data<T>(scratch_);
  }
  at::Tensor scratch_;
  double norm_ = 0;
};

}  // namespace

void add_large_batch(Registry& r) {
  r.add<Lamb>("lamb", "Adam with a step per tensor in proportion to its weights", {"apex.optimizers.FusedLAMB"});
}

}  // namespace fathom::optimizers
