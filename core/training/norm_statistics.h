// The statistics of batch norm, computed anew over one epoch: what weights need that are a mean of others, and so have
// never seen data themselves.
//
// Used by the training thread only.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <vector>

namespace fathom::training {

class NormStatistics {
 public:
  explicit NormStatistics(torch::nn::Module& module) : module_(module) {}
  ~NormStatistics() { end(); }
  NormStatistics(const NormStatistics&) = delete;
  NormStatistics& operator=(const NormStatistics&) = delete;

  // Whether a module has batch norm that keeps statistics.
  static bool are_in(const torch::nn::Module& module);

  // From now on the running mean and variance are the plain means over batches. `go_on`: they keep what they have, in
  // an epoch that was broken off; else they start anew.
  void begin(bool go_on);
  // Each has its own momentum again. Nothing happens when none was changed.
  void end();
  bool active() const { return !put_back_.empty(); }

 private:
  torch::nn::Module& module_;
  std::vector<std::function<void()>> put_back_;
};

}  // namespace fathom::training
