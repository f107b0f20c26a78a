// Dynamic scaling of a float16 loss, as torch.amp.GradScaler does it: the loss is multiplied so that small gradients do
// not vanish; a step whose gradients are not all finite is skipped and shrinks the scale, a row of finite ones grows
// it. Micikevicius et al., "Mixed Precision Training", 2018, section 3.2.
//
// Used by the training thread only.
#pragma once

#include "core/archive/pickle_value.h"
#include "core/planning/precision.h"
#include "core/training/parameters.h"

namespace fathom::training {

class GradScaler {
 public:
  explicit GradScaler(const GradScalerOptions& options);

  // loss * scale, differentiable.
  at::Tensor scale_loss(const at::Tensor& loss) const;
  // Divides the gradients by the scale; false when one of them is not finite.
  bool unscale(const NamedTensors& parameters) const;
  // After a step, taken or not.
  void update(bool finite);
  double scale() const;

  // PyTorch's state_dict: scale, growth_factor, backoff_factor, growth_interval, _growth_tracker; empty when disabled.
  checkpoint::PickleValue state() const;
  // Throws Error(kBadData) for an empty state, which a disabled scaler wrote.
  void load_state(const checkpoint::PickleValue& state, const std::string& source);

 private:
  GradScalerOptions options_;
  at::Tensor scale_;           // float32, 0-dim
  at::Tensor growth_tracker_;  // int32, 0-dim
};

}  // namespace fathom::training
