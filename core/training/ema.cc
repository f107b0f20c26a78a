#include "core/training/ema.h"

#include <ATen/ATen.h>

#include <set>

#include "fathom/error.h"

namespace fathom::training {

ExponentialMovingAverage::ExponentialMovingAverage(double decay, int64_t every_n_steps,
                                                   const std::vector<NamedTensors>& parameters)
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
  std::set<const void*> seen;
  for (const NamedTensors& of_optimizer : parameters) {
    Part part;
    for (const auto& [name, parameter] : of_optimizer) {
      if (!seen.insert(parameter.unsafeGetTensorImpl()).second) {
        throw Error(Code::kFailed, "an average is not kept of a parameter that two optimizers step")
            .seen(name)
            .next("set exp_manager.ema.enable=false");
      }
      part.parameters.push_back(parameter);
      part.averages.push_back(parameter.detach().clone());
    }
    parts_.push_back(std::move(part));
  }
}

void ExponentialMovingAverage::after_step(size_t optimizer) {
  Part& part = parts_.at(optimizer);
  const int64_t step = part.current_step++;
  if (step % every_n_steps_ != 0) return;
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < part.parameters.size(); ++i)
    part.averages[i].mul_(decay_).add_(part.parameters[i].detach(), 1 - decay_);
}

void ExponentialMovingAverage::swap() {
  const at::NoGradGuard no_grad;
  for (Part& part : parts_) {
    for (size_t i = 0; i < part.parameters.size(); ++i) {
      const at::Tensor kept = part.parameters[i].clone();
      part.parameters[i].copy_(part.averages[i]);
      part.averages[i].copy_(kept);
    }
  }
  swapped_ = !swapped_;
}

void ExponentialMovingAverage::restore(size_t optimizer, int64_t current_step,
                                       const std::vector<at::Tensor>& averages) {
  use(false);
  Part& part = parts_.at(optimizer);
  if (averages.size() != part.averages.size()) {
    throw Error(Code::kBadData, "the averaged weights are of another model")
        .seen(std::to_string(averages.size()) + " tensors")
        .expected(std::to_string(part.averages.size()));
  }
  for (size_t i = 0; i < averages.size(); ++i) {
    if (averages[i].sizes() == part.averages[i].sizes()) continue;
    throw Error(Code::kBadData, "averaged weight " + std::to_string(i) + " has another shape")
        .seen(c10::str(averages[i].sizes()))
        .expected(c10::str(part.averages[i].sizes()));
  }
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < averages.size(); ++i) part.averages[i].copy_(averages[i]);
  part.current_step = current_step;
}

void ExponentialMovingAverage::restart() {
  use(false);
  const at::NoGradGuard no_grad;
  for (Part& part : parts_) {
    for (size_t i = 0; i < part.parameters.size(); ++i) part.averages[i].copy_(part.parameters[i]);
    part.current_step = 0;
  }
}

}  // namespace fathom::training
