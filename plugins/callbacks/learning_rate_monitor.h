// LearningRateMonitor: Lightning's. Logs lr-<Optimizer> (a second one of that class: lr-<Optimizer>-1), with several
// parameter groups lr-<Optimizer>/pg1 and so on; on request also …-momentum and …-weight_decay. Rows of their own, with
// what the step or the epoch in hand begins with; callbacks see them as metrics.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fathom/callback.h"

namespace fathom::callbacks {

class LearningRateMonitor final : public Callback {
 public:
  struct Options {
    std::optional<std::string> logging_interval;
    bool log_momentum = false, log_weight_decay = false;
    static void describe(OptionSet<Options>& o);
  };
  explicit LearningRateMonitor(const Options& options);

 private:
  void start_training(Trainer& trainer);
  void start_epoch(Trainer& trainer);
  void start_batch(Trainer& trainer);
  // Of optimizers whose schedule moves at this interval, or has none; "" takes all.
  void log_rates(Trainer& trainer, std::string_view interval);

  Options options_;
  struct Watched {
    size_t optimizer, group;
    std::string name;
    std::string momentum;  // the option that is its momentum, or ""
    bool decay;
  };
  std::vector<Watched> watched_;
};

}  // namespace fathom::callbacks
