// SGD with momentum (Sutskever et al. 2013, in PyTorch's form: buf = momentum * buf + (1 - dampening) * g, first buf =
// g).
#include <ATen/ops/_fused_sgd.h>

#include "plugins/optimizers/common.h"

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

class Sgd final : public Optimizer<SgdOptions> {
 public:
  using Optimizer::Optimizer;
  void validate(const SgdOptions& o) const override {
    need_not_negative(o.lr, "learning rate");
    need_not_negative(o.momentum, "momentum value");
    need_not_negative(o.weight_decay, "weight_decay value");
    if (o.nesterov && (o.momentum <= 0 || o.dampening != 0)) {
      throw Error(Code::kFailed, "nesterov needs a momentum and zero dampening")
          .seen("momentum " + text_of(o.momentum) + ", dampening " + text_of(o.dampening));
    }
    need_switches(o);
  }
  // The buffer comes to be at the first step with a momentum: that step takes the gradient undamped.
  std::vector<StateSlot> slots(const SgdOptions&) const override { return {{"momentum_buffer", StateKind::kOwn}}; }

  void update(SgdOptions& o, UpdateBatch& b) override {
    auto& buffers = b.state[0];
    size_t made = 0;
    if (o.momentum != 0) {
      for (const at::Tensor& buffer : buffers) made += buffer.defined();
    }
    if (o.momentum == 0) {
      run(o, b.parameters, b.gradients, {}, false);
    } else if (made == 0 || made == b.size()) {
      for (size_t i = 0; made == 0 && i < b.size(); ++i) buffers[i] = at::empty_like(b.parameters[i]);
      run(o, b.parameters, b.gradients, buffers, made == 0);
    } else {  // parameters that got their first gradient later than others
      for (size_t i = 0; i < b.size(); ++i) {
        const bool first = !buffers[i].defined();
        if (first) buffers[i] = at::empty_like(b.parameters[i]);
        run(o, {&b.parameters[i], 1}, {&b.gradients[i], 1}, {&buffers[i], 1}, first);
      }
    }
  }

 private:
  static void run(const SgdOptions& o, at::TensorList parameters, at::TensorList gradients, at::TensorList buffers,
                  bool first) {
    at::_fused_sgd_(parameters, gradients, buffers, o.weight_decay, o.momentum, o.lr, o.dampening, o.nesterov,
                    o.maximize, first);
  }
};

}  // namespace

void add_sgd(Registry& r) {
  r.add<Sgd>("sgd", "stochastic gradient descent with momentum", {"torch.optim.SGD", "torch.optim.sgd.SGD"});
}

}  // namespace fathom::optimizers
