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
  // The parameters hold the averages (true) or the weights (false) from now on.
  void use(bool averages) {
    if (averages != swapped_) swap();
  }
  bool is_swapped() const { return swapped_; }

  // In the parameters' order; also while they are swapped in, when they are the parameters themselves.
  const std::vector<at::Tensor>& averages() const { return swapped_ ? parameters_ : averages_; }
  int64_t current_step() const { return current_step_; }
  double decay() const { return decay_; }
  int64_t every_n_steps() const { return every_n_steps_; }
  // What after_step() counts and what it averages, from a checkpoint. Throws Error(kBadData) for other shapes.
  void restore(int64_t current_step, const std::vector<at::Tensor>& averages);
  // Starts again from the parameters as they are now.
  void restart();

 private:
  double decay_;
  int64_t every_n_steps_, current_step_ = 0;
  std::vector<at::Tensor> parameters_, averages_;
  bool swapped_ = false;
};

// The averages (true) or the weights (false) while it lives, then what there was before. `average` may be null.
class UseAverages {
 public:
  UseAverages(ExponentialMovingAverage* average, bool averages)
      : average_(average), before_(average != nullptr && average->is_swapped()) {
    if (average_ != nullptr) average_->use(averages);
  }
  ~UseAverages() {
    if (average_ != nullptr) average_->use(before_);
  }
  UseAverages(const UseAverages&) = delete;
  UseAverages& operator=(const UseAverages&) = delete;

 private:
  ExponentialMovingAverage* average_;
  bool before_;
};

}  // namespace fathom::training
