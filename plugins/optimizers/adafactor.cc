// Adafactor (Shazeer, Stern 2018) as in NeMo (fairseq's form): second moments of matrices as a row and a column.
// As there, the rate that was used is left in the group's lr, and with scale_parameter it is scaled again from there.
#include <ATen/ATen.h>

#include "plugins/optimizers/common.h"
#include "plugins/optimizers/kernels.h"

namespace fathom::optimizers {
namespace {

struct AdafactorOptions {
  std::optional<double> lr, beta1;
  std::vector<double> eps = {1e-30, 1e-3};
  double clip_threshold = 1, decay_rate = -0.8, weight_decay = 0, min_step = 1e-2;
  bool scale_parameter = true, relative_step = true, warmup_init = false;
  static void describe(OptionSet<AdafactorOptions>& o) {
    o("lr", &AdafactorOptions::lr, "learning rate; null with relative_step");
    o("eps", &AdafactorOptions::eps, "added to the squared gradient; smallest scale of a parameter");
    o("clip_threshold", &AdafactorOptions::clip_threshold, "largest root mean square of an update");
    o("decay_rate", &AdafactorOptions::decay_rate, "the second moment decays with 1 - step to this power");
    o("beta1", &AdafactorOptions::beta1, "decay of the mean of the update; null = none");
    o("weight_decay", &AdafactorOptions::weight_decay, "the parameter shrinks by lr times this");
    o("scale_parameter", &AdafactorOptions::scale_parameter, "scale the rate with the parameter's root mean square");
    o("relative_step", &AdafactorOptions::relative_step, "take the rate from the step instead of lr");
    o("warmup_init", &AdafactorOptions::warmup_init, "let the relative rate start small");
    o("min_step", &AdafactorOptions::min_step, "largest relative rate, without warmup_init");
  }
};

// Root mean square in the tensor's own precision.
at::Tensor rms(const at::Tensor& tensor) { return tensor.norm(2).div(std::sqrt(static_cast<double>(tensor.numel()))); }

class Adafactor final : public CpuOptimizer<AdafactorOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const AdafactorOptions& o) const override {
    if (o.lr && o.relative_step) {
      throw Error(Code::kFailed, "a learning rate and relative_step cannot be combined")
          .at("lr")
          .seen(text_of(*o.lr))
          .next("set lr to null, or relative_step to false");
    }
    if (o.warmup_init && !o.relative_step)
      throw Error(Code::kFailed, "warmup_init needs relative_step: true").at("warmup_init");
    if (o.eps.size() != 2) invalid("eps", json_text(Json(o.eps)), "two numbers");
  }
  std::vector<StateSlot> slots(const AdafactorOptions&) const override {
    return {{"step", StateKind::kInteger},       {"exp_avg", StateKind::kOwn},    {"exp_avg_sq_row", StateKind::kOwn},
            {"exp_avg_sq_col", StateKind::kOwn}, {"exp_avg_sq", StateKind::kOwn}, {"RMS", StateKind::kOwn}};
  }
  at::Tensor initial(const AdafactorOptions& o, const StateSlot& slot, const at::Tensor& p) const override {
    const bool factored = p.dim() >= 2;
    if (slot.name == "exp_avg") return o.beta1 ? at::zeros_like(p) : at::Tensor();
    if (slot.name == "exp_avg_sq") return factored ? at::Tensor() : at::zeros_like(p);
    if (slot.name == "RMS") return at::zeros({}, p.scalar_type());
    if (slot.kind == StateKind::kInteger) return Optimizer::initial(o, slot, p);
    if (!factored) return {};
    std::vector<int64_t> shape = p.sizes().vec();
    shape.erase(shape.end() - (slot.name == "exp_avg_sq_row" ? 1 : 2));
    return at::zeros(shape, p.scalar_type());
  }

  void update(AdafactorOptions& o, UpdateBatch& b) override {
    b.advance(0);
    for (size_t i = 0; i < b.size(); ++i) {
      const at::Tensor& p = b.parameters[i];
      const double step = b.count(0, i);
      const double size = std::sqrt(sum_of_squares(p) / static_cast<double>(p.numel()));
      dispatch(p, [&](auto zero) { *data<decltype(zero)>(b.state[5][i]) = static_cast<decltype(zero)>(size); });
      const double lr = rate(o, step, size);
      o.lr = lr;
      const double beta2 = 1 - std::pow(step, o.decay_rate);
      // With a positive decay_rate the moments can be negative, and their roots NaN: the plain way tells which.
      if (o.beta1 || beta2 < 0 || !p.is_contiguous() || !b.gradients[i].is_contiguous() || p.numel() == 0)
        update_plain(o, b, i, beta2, lr);
      else
        update_fused(o, b, i, beta2, lr);
    }
  }

 private:
  void update_fused(const AdafactorOptions& o, UpdateBatch& b, size_t i, double beta2, double lr) {
    at::Tensor& p = b.parameters[i];
    const int64_t count = p.numel();
    dispatch(p, [&](auto zero) {
      using T = decltype(zero);
      const T* g = values<T>(b.gradients[i]);
      // The update's root mean square is clipped before the step is taken.
      const auto step_of = [&](double sum_of_squares) {
        const double excess = std::sqrt(sum_of_squares / static_cast<double>(count)) / o.clip_threshold;
        return lr / (excess > 1 || std::isnan(excess) ? excess : 1);  // not a number stays none
      };
      const auto decay = [&] {
        if (o.weight_decay != 0) p.mul_(1 - o.weight_decay * lr);
      };
      if (p.dim() >= 2) {
        const int64_t rows = p.size(-2), columns = p.size(-1);
        const FactoredMoments<T> moments{data<T>(p),
                                         data<T>(b.state[2][i]),
                                         data<T>(b.state[3][i]),
                                         g,
                                         count / (rows * columns),
                                         rows,
                                         columns,
                                         beta2,
                                         o.eps[0]};
        const double step = step_of(update_moments(moments));
        decay();
        return apply_direction(moments, step);
      }
      // One buffer for all directions of this type: its content lives during one update only.
      if (!direction_.defined() || direction_.scalar_type() != p.scalar_type() || direction_.numel() < count)
        direction_ = at::empty({count}, p.options().requires_grad(false));
      T* direction = data<T>(direction_);
      run(AdafactorKernel<T>{direction, data<T>(b.state[4][i]), g, Decay<T>(beta2), T(o.eps[0])}, count);
      const double step = step_of(sum_of_squares(direction, count));
      decay();
      run(AxpyKernel<T>{data<T>(p), direction, T(step)}, count);
    });
  }

  // The formula in tensor operations: for any layout, and with a mean of the update.
  static void update_plain(const AdafactorOptions& o, UpdateBatch& b, size_t i, double beta2, double lr) {
    const at::Tensor &p = b.parameters[i], &g = b.gradients[i];
    const at::Tensor squares = g.square().add_(o.eps[0]);
    at::Tensor update;
    if (g.dim() >= 2) {
      at::Tensor &row = b.state[2][i], &column = b.state[3][i];
      row.mul_(beta2).add_(squares.mean(-1), 1 - beta2);
      column.mul_(beta2).add_(squares.mean(-2), 1 - beta2);
      update = row.div(row.mean(-1, /*keepdim=*/true)).rsqrt_().unsqueeze(-1).mul(column.unsqueeze(-2).rsqrt()).mul_(g);
    } else {
      at::Tensor& mean = b.state[4][i];
      mean.mul_(beta2).add_(squares, 1 - beta2);
      update = mean.rsqrt().mul_(g);
    }
    update.div_(rms(update).div_(o.clip_threshold).clamp_min_(1.0)).mul_(lr);
    if (o.beta1) {
      at::Tensor& mean = b.state[1][i];
      if (!mean.defined()) mean = at::zeros_like(p);
      update = mean.mul_(*o.beta1).add_(update, 1 - *o.beta1);
    }
    if (o.weight_decay != 0) b.parameters[i].mul_(1 - o.weight_decay * lr);
    b.parameters[i].sub_(update);
  }

  double rate(const AdafactorOptions& o, double step, double size) const {
    double lr = 0;
    if (o.relative_step) {
      lr = std::min(o.warmup_init ? 1e-6 * step : defaults().min_step, 1 / std::sqrt(step));
    } else if (o.lr) {
      lr = *o.lr;
    } else {
      throw Error(Code::kFailed, "Adafactor has neither a learning rate nor relative_step")
          .at(config_path())
          .next("set lr");
    }
    return o.scale_parameter ? lr * std::max(o.eps[1], size) : lr;
  }

  at::Tensor direction_;
};

}  // namespace

void add_adafactor(Registry& r) {
  r.add<Adafactor>("adafactor", "Adam with factored second moments",
                   {"nemo.core.optim.Adafactor", "nemo.core.optim.adafactor.Adafactor"});
}

}  // namespace fathom::optimizers
