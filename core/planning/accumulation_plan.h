// From which epoch on how many batches make an optimizer step. No torch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>

#include "fathom/json.h"

namespace fathom {

class AccumulationPlan {
 public:
  // The same in all epochs.
  AccumulationPlan(int64_t batches = 1) : from_epoch_{{0, batches}} {}  // NOLINT: a number is a plan
  // By 0-based epochs; before the first of them one batch makes a step, as in Lightning. Throws Error(kFailed) for a
  // negative epoch and for fewer than one batch.
  explicit AccumulationPlan(std::map<int64_t, int64_t> from_epoch);

  int64_t at(int64_t epoch) const { return std::prev(from_epoch_.upper_bound(epoch))->second; }
  bool varies() const;
  // Where it is more than one batch in some epoch.
  bool accumulates() const;
  // Optimizer steps of so many epochs; `steps` gives those of `epochs` epochs at `batches` to a step.
  template <typename Steps>
  int64_t steps_of(int64_t max_epochs, Steps&& steps) const {
    int64_t total = 0;
    for (auto at = from_epoch_.begin(); at != from_epoch_.end() && at->first < max_epochs; ++at) {
      const auto next = std::next(at);
      const int64_t end = next == from_epoch_.end() ? max_epochs : std::min(next->first, max_epochs);
      total += steps(end - at->first, at->second);
    }
    return total;
  }
  std::string text() const;  // "{0: 1, 4: 2}"

 private:
  std::map<int64_t, int64_t> from_epoch_;  // has epoch 0
};

// A config's {epoch: batches}. Throws Error(kFailed), at `where`, for anything else.
std::map<int64_t, int64_t> read_accumulation(const Json& scheduling, const std::string& where);

}  // namespace fathom
