// An exponential moving average of weights (Polyak averaging), as NeMo's EMA callback keeps it beside an optimizer:
// after a step, average = decay * average + (1 - decay) * weight.
//
// Used by the training thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "core/training/parameters.h"

namespace fathom::training {

class ExponentialMovingAverage {
 public:
  // Starts with copies of the parameters as they are now. Throws Error(kFailed): decay outside [0, 1], every_n_steps
  // below 1.
  ExponentialMovingAverage(double decay, int64_t every_n_steps, const NamedTensors& parameters);

  // After an optimizer step; updates at the first and then every `every_n_steps`-th one.
  void after_step();
  // Exchanges weights and averages: validate or save between two calls.
  void swap();
  bool is_swapped() const { return swapped_; }

  const std::vector<at::Tensor>& averages() const { return averages_; }  // in the parameters' order
  int64_t current_step() const { return current_step_; }
  double decay() const { return decay_; }
  int64_t every_n_steps() const { return every_n_steps_; }
  // What after_step() counts and what it averages, from a checkpoint. Throws Error(kBadData) for other shapes.
  void restore(int64_t current_step, const std::vector<at::Tensor>& averages);

 private:
  double decay_;
  int64_t every_n_steps_, current_step_ = 0;
  std::vector<at::Tensor> parameters_, averages_;
  bool swapped_ = false;
};

}  // namespace fathom::training
