#include "core/training/ema.h"

#include <ATen/ATen.h>

#include "fathom/error.h"

namespace fathom::training {

ExponentialMovingAverage::ExponentialMovingAverage(double decay, int64_t every_n_steps, const NamedTensors& parameters)
    : decay_(decay), every_n_steps_(every_n_steps) {
  if (!(decay >= 0 && decay <= 1)) {
    throw Error(Code::kFailed, "the average's decay is not between 0 and 1")
        .at("decay")
        .seen(std::to_string(decay))
        .expected("0 to 1, such as 0.999");
  }
  if (every_n_steps < 1) {
    throw Error(Code::kFailed, "is no number of steps")
        .at("every_n_steps")
        .seen(std::to_string(every_n_steps))
        .expected("1 or more");
  }
  for (const auto& [name, parameter] : parameters) {
    parameters_.push_back(parameter);
    averages_.push_back(parameter.detach().clone());
  }
}

void ExponentialMovingAverage::after_step() {
  const int64_t step = current_step_++;
  if (step % every_n_steps_ != 0) return;
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) averages_[i].mul_(decay_).add_(parameters_[i].detach(), 1 - decay_);
}

void ExponentialMovingAverage::swap() {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor kept = parameters_[i].clone();
    parameters_[i].copy_(averages_[i]);
    averages_[i].copy_(kept);
  }
  swapped_ = !swapped_;
}

void ExponentialMovingAverage::restore(int64_t current_step, const std::vector<at::Tensor>& averages) {
  use(false);
  if (averages.size() != averages_.size()) {
    throw Error(Code::kBadData, "the averaged weights are of another model")
        .seen(std::to_string(averages.size()) + " tensors")
        .expected(std::to_string(averages_.size()));
  }
  for (size_t i = 0; i < averages.size(); ++i) {
    if (averages[i].sizes() == averages_[i].sizes()) continue;
    throw Error(Code::kBadData, "averaged weight " + std::to_string(i) + " has another shape")
        .seen(c10::str(averages[i].sizes()))
        .expected(c10::str(averages_[i].sizes()));
  }
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < averages.size(); ++i) averages_[i].copy_(averages[i]);
  current_step_ = current_step;
}

void ExponentialMovingAverage::restart() {
  use(false);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) averages_[i].copy_(parameters_[i]);
  current_step_ = 0;
}

}  // namespace fathom::training
