// Options and checks that PyTorch's optimizers share.
#pragma once

#include "fathom/optimizer.h"
#include "plugins/optimizers/checks.h"

namespace fathom::optimizers {

// The base of every optimizer here: their kernels walk the memory of CPU tensors.
template <typename O>
class CpuOptimizer : public Optimizer<O> {
 public:
  using Optimizer<O>::Optimizer;

 protected:
  void check_parameter(const at::Tensor& p, const std::string& name) const override {
    if (p.device().is_cpu()) return;
    throw Error(Code::kFailed, "this optimizer needs parameters on the CPU")
        .at(name)
        .seen(p.device().str())
        .next("choose an optimizer for that device");
  }
};

// PyTorch's switches between kernels that compute the same update. Here there is one kernel per optimizer, the fast
// one, so `foreach` and `fused` are checked as PyTorch checks them, kept for param_groups, and change no result. What
// PyTorch does for CUDA graphs (`capturable`) and for gradients through the update (`differentiable`) is refused.
struct Switches {
  bool maximize = false;
  std::optional<bool> foreach, fused;
  bool capturable = false, differentiable = false;
};

enum : unsigned { kFused = 1, kCapturable = 2 };
template <typename O>
void describe_switches(OptionSet<O>& o, unsigned which) {
  o("maximize", static_cast<bool O::*>(&O::maximize), "step along the gradient instead of against it");
  o("foreach", static_cast<std::optional<bool> O::*>(&O::foreach),
    "PyTorch's choice of kernel; the result is the same");
  if (which & kFused) {
    o("fused", static_cast<std::optional<bool> O::*>(&O::fused), "PyTorch's choice of kernel; the result is the same");
  }
  if (which & kCapturable) {
    o("capturable", static_cast<bool O::*>(&O::capturable), "for CUDA graphs; only false is supported");
  }
  o("differentiable", static_cast<bool O::*>(&O::differentiable),
    "gradients through the update; only false is supported");
}

inline void need_switches(const Switches& o) {
  if (o.foreach.value_or(false) && o.fused.value_or(false)) {
    throw Error(Code::kFailed, "`fused` and `foreach` cannot be true together").at("fused");
  }
  if (o.capturable) {
    throw Error(Code::kFailed, "`capturable: true` is not supported: there are no CUDA graphs here")
        .at("capturable")
        .next("leave capturable out");
  }
  if (o.differentiable) {
    throw Error(Code::kFailed, "`differentiable: true` is not supported: the update is not recorded for autograd")
        .at("differentiable")
        .next("leave differentiable out");
  }
}

// One per source file; each adds its optimizers.
void add_sgd(Registry& r);
void add_adam(Registry& r);
void add_novograd(Registry& r);
void add_adaptive(Registry& r);
void add_adafactor(Registry& r);
void add_adan(Registry& r);
void add_variants(Registry& r);
void add_large_batch(Registry& r);
void add_muon(Registry& r);

}  // namespace fathom::optimizers
