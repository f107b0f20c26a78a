#include "core/training/loss_policy.h"

#include <ATen/ATen.h>

#include <cmath>

#include "fathom/error.h"

namespace fathom::training {

NanLoss nan_loss_policy(const std::optional<std::string>& given, bool gradients_are_checked) {
  if (!given) return gradients_are_checked ? NanLoss::kContinue : NanLoss::kStop;
  if (*given == "stop") return NanLoss::kStop;
  if (*given == "skip") return NanLoss::kSkip;
  if (*given == "continue") return NanLoss::kContinue;
  throw Error(Code::kInternal, "is no choice for a loss that is not finite")
      .at("trainer.nan_loss")
      .seen(*given)
      .expected("stop, skip, continue or null");
}

bool is_finite_loss(const at::Tensor& loss) {
  // item() costs more than the loop around it; what lies in memory is looked at there.
  if (loss.is_cpu() && loss.numel() == 1) {
    if (loss.scalar_type() == at::kFloat) return std::isfinite(*static_cast<const float*>(loss.const_data_ptr()));
    if (loss.scalar_type() == at::kDouble) return std::isfinite(*static_cast<const double*>(loss.const_data_ptr()));
  }
  return at::isfinite(loss.detach()).all().item<bool>();
}

}  // namespace fathom::training
