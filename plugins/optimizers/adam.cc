// Adam (Kingma, Ba 2015), with AMSGrad (Reddi et al. 2018), and AdamW (Loshchilov, Hutter 2019).
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>

#include "plugins/optimizers/common.h"

namespace fathom::optimizers {
namespace {

template <typename O>
void describe_adam(OptionSet<O>& o, const char* decay) {
  o("lr", static_cast<double O::*>(&O::lr), "learning rate");
  o("betas", static_cast<std::vector<double> O::*>(&O::betas), "decay of the mean of the gradient and of its square");
  o("eps", static_cast<double O::*>(&O::eps), "added to the denominator");
  o("weight_decay", static_cast<double O::*>(&O::weight_decay), decay);
  o("amsgrad", static_cast<bool O::*>(&O::amsgrad), "divide by the largest mean square so far");
  describe_switches(o, kFused | kCapturable);
}

struct AdamBase : Switches {
  double lr = 1e-3, eps = 1e-8;
  std::vector<double> betas = {0.9, 0.999};
  bool amsgrad = false;
};
struct AdamOptions : AdamBase {
  double weight_decay = 0;
  bool decoupled_weight_decay = false;
  static void describe(OptionSet<AdamOptions>& o) {
    describe_adam(o, "added to the gradient, times the parameter");
    o("decoupled_weight_decay", &AdamOptions::decoupled_weight_decay, "decay the parameter itself, as AdamW does");
  }
};
struct AdamWOptions : AdamBase {
  double weight_decay = 1e-2;
  static void describe(OptionSet<AdamWOptions>& o) { describe_adam(o, "the parameter shrinks by lr times this"); }
};

template <typename O>
class AdamLike : public CpuOptimizer<O> {
 public:
  using CpuOptimizer<O>::CpuOptimizer;
  void validate(const O& o) const override {
    need_not_negative(o.lr, "lr");
    need_not_negative(o.eps, "eps");
    need_betas(o.betas, 2);
    need_not_negative(o.weight_decay, "weight_decay");
    need_switches(o);
  }
  std::vector<StateSlot> slots(const O& o) const override {
    std::vector<StateSlot> out = {{"step", StateKind::kStep}, {"exp_avg"}, {"exp_avg_sq"}};
    if (o.amsgrad) out.push_back({"max_exp_avg_sq"});
    return out;
  }

 protected:
  static void run(const O& o, UpdateBatch& b, bool decoupled) {
    b.advance(0);
    const at::TensorList largest = o.amsgrad ? at::TensorList(b.state[3]) : at::TensorList();
    if (decoupled) {
      at::_fused_adamw_(b.parameters, b.gradients, b.state[1], b.state[2], largest, b.state[0], o.lr, o.betas[0],
                        o.betas[1], o.weight_decay, o.eps, o.amsgrad, o.maximize);
    } else {
      at::_fused_adam_(b.parameters, b.gradients, b.state[1], b.state[2], largest, b.state[0], o.lr, o.betas[0],
                       o.betas[1], o.weight_decay, o.eps, o.amsgrad, o.maximize);
    }
  }
};

class Adam final : public AdamLike<AdamOptions> {
 public:
  using AdamLike::AdamLike;
  void update(AdamOptions& o, UpdateBatch& b) override { run(o, b, o.decoupled_weight_decay); }
};
class AdamW final : public AdamLike<AdamWOptions> {
 public:
  using AdamLike::AdamLike;
  void update(AdamWOptions& o, UpdateBatch& b) override { run(o, b, true); }
  Json fixed_group_entries() const override { return {{"decoupled_weight_decay", true}}; }
};

}  // namespace

void add_adam(Registry& r) {
  r.add<Adam>("adam", "Adam", {"torch.optim.Adam", "torch.optim.adam.Adam"});
  r.add<AdamW>("adamw", "Adam with decoupled weight decay", {"torch.optim.AdamW", "torch.optim.adamw.AdamW"});
}

}  // namespace fathom::optimizers
