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
  // `parameters`: of each optimizer. Starts with copies of them as they are now. Throws Error(kFailed): decay outside
  // [0, 1], every_n_steps below 1, a parameter that two optimizers step.
  ExponentialMovingAverage(double decay, int64_t every_n_steps, const std::vector<NamedTensors>& parameters);

  // After a step of that optimizer; updates at its first and then every `every_n_steps`-th one.
  void after_step(size_t optimizer = 0);
  // Exchanges weights and averages: validate or save between two calls.
  void swap();
  // The parameters hold the averages (true) or the weights (false) from now on.
  void use(bool averages) {
    if (averages != swapped_) swap();
  }
  bool is_swapped() const { return swapped_; }

  size_t optimizers() const { return parts_.size(); }
  // In the parameters' order; also while they are swapped in, when they are the parameters themselves.
  const std::vector<at::Tensor>& averages(size_t optimizer) const {
    return swapped_ ? parts_[optimizer].parameters : parts_[optimizer].averages;
  }
  int64_t current_step(size_t optimizer) const { return parts_[optimizer].current_step; }
  double decay() const { return decay_; }
  int64_t every_n_steps() const { return every_n_steps_; }
  // What after_step() counts and what it averages, from a checkpoint. Throws Error(kBadData) for other shapes.
  void restore(size_t optimizer, int64_t current_step, const std::vector<at::Tensor>& averages);
  // Starts again from the parameters as they are now.
  void restart();

 private:
  struct Part {  // of an optimizer
    std::vector<at::Tensor> parameters, averages;
    int64_t current_step = 0;
  };
  double decay_;
  int64_t every_n_steps_;
  std::vector<Part> parts_;
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
