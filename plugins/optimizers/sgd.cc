// SGD with momentum (Sutskever et al. 2013, in PyTorch's form: buf = momentum * buf + (1 - dampening) * g, first buf =
// g).

#include "plugins/optimizers/common.h"
#include "plugins/optimizers/kernels.h"

namespace fathom::optimizers {
namespace {

struct SgdOptions : Switches {
  double lr = 1e-3, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  static void describe(OptionSet<SgdOptions>& o) {
    o("lr", &SgdOptions::lr, "learning rate");
    o("momentum", &SgdOptions::momentum, "factor on the former update");
    o("dampening", &SgdOptions::dampening, "share of the gradient that the momentum leaves out");
    o("weight_decay", &SgdOptions::weight_decay, "added to the gradient, times the parameter");
    o("nesterov", &SgdOptions::nesterov, "look ahead along the momentum");
    describe_switches(o, kFused);
  }
};

class Sgd final : public CpuOptimizer<SgdOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const SgdOptions& o) const override {
    need_not_negative(o.lr, "lr");
    need_not_negative(o.momentum, "momentum");
    need_not_negative(o.weight_decay, "weight_decay");
    if (o.nesterov && (o.momentum <= 0 || o.dampening != 0)) {
      throw Error(Code::kFailed, "nesterov needs a momentum and zero dampening")
          .at("nesterov")
          .seen("momentum " + text_of(o.momentum) + ", dampening " + text_of(o.dampening));
    }
    need_switches(o);
  }
  // The buffer comes to be at the first step with a momentum: that step takes the gradient undamped.
  std::vector<StateSlot> slots(const SgdOptions&) const override { return {{"momentum_buffer", StateKind::kOwn}}; }

  void update(SgdOptions& o, UpdateBatch& b) override {
    for (size_t i = 0; i < b.size(); ++i) {
      at::Tensor& buffer = b.state[0][i];
      const bool first = o.momentum != 0 && !buffer.defined();
      if (first) buffer = at::zeros_like(b.parameters[i]);
      dispatch(b.parameters[i], [&](auto zero) {
        using T = decltype(zero);
        run(SgdKernel<T>{data<T>(b.parameters[i]), o.momentum != 0 ? data<T>(buffer) : nullptr,
                         values<T>(b.gradients[i]), T(o.maximize ? -1 : 1), T(o.weight_decay),
                         T(first ? 0 : o.momentum), T(first ? 1 : 1 - o.dampening), T(o.momentum), T(o.lr), o.nesterov},
            b.parameters[i].numel());
      });
    }
  }
};

}  // namespace

void add_sgd(Registry& r) {
  r.add<Sgd>("sgd", "stochastic gradient descent with momentum", {"torch.optim.SGD", "torch.optim.sgd.SGD"});
}

}  // namespace fathom::optimizers
