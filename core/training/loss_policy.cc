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

namespace {

// item() costs more than the loop around it; what lies in memory is looked at there.
std::optional<double> value_in_memory(const at::Tensor& loss) {
  if (!loss.is_cpu() || loss.numel() != 1) return std::nullopt;
  if (loss.scalar_type() == at::kFloat) return *static_cast<const float*>(loss.const_data_ptr());
  if (loss.scalar_type() == at::kDouble) return *static_cast<const double*>(loss.const_data_ptr());
  return std::nullopt;
}

}  // namespace

bool is_finite_loss(const at::Tensor& loss) {
  const std::optional<double> value = value_in_memory(loss);
  return value ? std::isfinite(*value) : at::isfinite(loss.detach()).all().item<bool>();
}

void LossValue::set(const at::Tensor& loss) {
  known_ = loss.defined();
  elsewhere_.reset();
  if (!known_) return;
  if (const auto value = value_in_memory(loss))
    value_ = *value;
  else
    elsewhere_ = loss.detach();
}

double LossValue::read() const { return elsewhere_.defined() ? elsewhere_.item<double>() : value_; }

}  // namespace fathom::training
