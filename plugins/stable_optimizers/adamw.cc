#include "plugins/stable_optimizers/adamw.h"

#include <algorithm>
#include <cmath>

#include "fathom/stable_optimizer.h"
#include "plugins/optimizers/checks.h"

namespace fathom::stable_optimizers {
namespace {

struct AdamWOptions {
  double lr = 1e-3, eps = 1e-8, weight_decay = 1e-2;
  std::vector<double> betas = {0.9, 0.999};
  bool amsgrad = false, maximize = false;
  static void describe(OptionSet<AdamWOptions>& o) {
    o("lr", &AdamWOptions::lr, "learning rate");
    o("betas", &AdamWOptions::betas, "decay of the mean of the gradient and of its square");
    o("eps", &AdamWOptions::eps, "added to the denominator");
    o("weight_decay", &AdamWOptions::weight_decay, "the parameter shrinks by lr times this");
    o("amsgrad", &AdamWOptions::amsgrad, "divide by the largest mean square so far");
    o("maximize", &AdamWOptions::maximize, "step along the gradient instead of against it");
  }
};

// The factors of one step; all are computed in double, as PyTorch does.
template <typename T>
struct Factors {
  T sign, shrink, keep_mean, take_mean, keep_square, take_square, step_size, root_correction, eps;
  Factors(const AdamWOptions& o, double step)
      : sign(static_cast<T>(o.maximize ? -1 : 1)),
        shrink(static_cast<T>(1 - o.lr * o.weight_decay)),
        keep_mean(static_cast<T>(o.betas[0])),
        take_mean(static_cast<T>(1 - o.betas[0])),
        keep_square(static_cast<T>(o.betas[1])),
        take_square(static_cast<T>(1 - o.betas[1])),
        step_size(static_cast<T>(o.lr / (1 - std::pow(o.betas[0], step)))),
        root_correction(static_cast<T>(1 / std::sqrt(1 - std::pow(o.betas[1], step)))),
        eps(static_cast<T>(o.eps)) {}
};

// `largest` is null without AMSGrad.
template <typename T>
void update_parameter(const Factors<T>& f, int64_t size, T* __restrict p, const T* __restrict g, T* __restrict mean,
                      T* __restrict square, T* __restrict largest) {
  for (int64_t i = 0; i < size; ++i) {
    const T gradient = f.sign * g[i];
    mean[i] = f.keep_mean * mean[i] + f.take_mean * gradient;
    square[i] = f.keep_square * square[i] + f.take_square * gradient * gradient;
    if (largest != nullptr) largest[i] = std::max(largest[i], square[i]);
    const T root = std::sqrt(largest != nullptr ? largest[i] : square[i]) * f.root_correction;
    p[i] = f.shrink * p[i] - f.step_size * mean[i] / (root + f.eps);
  }
}

class AdamW final : public stable::Optimizer<AdamWOptions> {
 public:
  using Optimizer::Optimizer;
  void validate(const AdamWOptions& o) const override {
    using namespace optimizers;
    need_not_negative(o.lr, "lr");
    need_not_negative(o.eps, "eps");
    need_betas(o.betas, 2);
    need_not_negative(o.weight_decay, "weight_decay");
  }
  std::vector<stable::StateSlot> slots(const AdamWOptions& o) const override {
    std::vector<stable::StateSlot> out = {{"step", stable::StateKind::kStep}, {"exp_avg"}, {"exp_avg_sq"}};
    if (o.amsgrad) out.push_back({"max_exp_avg_sq"});
    return out;
  }
  Json fixed_group_entries() const override { return {{"decoupled_weight_decay", true}}; }

  void update(AdamWOptions& o, stable::UpdateBatch& b) override {
    b.advance(0);
    for (size_t i = 0; i < b.size(); ++i) {
      stable::dispatch(b.parameters[i], [&]<typename T>(T* p) {
        const auto memory = [&](size_t slot) { return static_cast<T*>(b.state[slot][i].mutable_data_ptr()); };
        update_parameter(Factors<T>(o, b.count(0, i)), b.parameters[i].numel(), p,
                         static_cast<const T*>(b.gradients[i].const_data_ptr()), memory(1), memory(2),
                         o.amsgrad ? memory(3) : nullptr);
      });
    }
  }
};

}  // namespace

void add_adamw(Registry& r) {
  r.add<AdamW>("stable_adamw", "AdamW on libtorch's stable ABI: weight decay apart from the gradient");
}

}  // namespace fathom::stable_optimizers
