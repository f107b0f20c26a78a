// The mean of weights that a run has passed (stochastic weight averaging), beside the weights.
//
// Used by the training thread only.
#pragma once

#include <string>

#include "core/archive/pickle_value.h"
#include "core/training/parameters.h"

namespace fathom::training {

class WeightMean {
 public:
  // Of all parameters of `module`, frozen ones too, as Lightning has it; begins as they are now. `state_key`: of the
  // callback it is kept for.
  WeightMean(std::string state_key, const torch::nn::Module& module);

  // mean += (weight - mean) / (taken + 1); `taken` weights are in it so far.
  void add(int64_t taken);
  // The weights become the mean.
  void take() const;

  const std::string& state_key() const { return state_key_; }
  // The state_dict of `module` with the means in place of its parameters.
  checkpoint::PickleValue state(const torch::nn::Module& module) const;
  // From that, read at `path`. Throws Error(kBadData) for another model's.
  void restore(const checkpoint::PickleValue& state, const std::string& path);

 private:
  std::string state_key_;
  NamedTensors parameters_;
  std::vector<at::Tensor> means_;
};

}  // namespace fathom::training
