// What becomes of a training step whose loss is not finite (trainer.nan_loss).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

namespace fathom::training {

enum class NanLoss {
  kStop,      // the run ends with an error that names the step and its items
  kSkip,      // the batch is left out: no backward pass, and the model's buffers are as before it
  kContinue,  // nothing: gradients are what they are
};
// "stop", "skip" or "continue"; nothing: kContinue where `gradients_are_checked` (skip_nan_grad, a loss scale), else
// kStop.
NanLoss nan_loss_policy(const std::optional<std::string>& given, bool gradients_are_checked);

// False for NaN and infinity. Reads the value; waits for its device.
bool is_finite_loss(const at::Tensor& loss);

// The loss of a batch, for who asks for it later. What lies in memory is read at once, which costs less than detaching
// it; of another device it is read when somebody asks.
class LossValue {
 public:
  void set(const at::Tensor& loss);  // undefined: there is none
  bool is_known() const { return known_; }
  double read() const;

 private:
  bool known_ = false;
  double value_ = 0;
  at::Tensor elsewhere_;
};

}  // namespace fathom::training
