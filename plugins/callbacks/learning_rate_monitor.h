// LearningRateMonitor: Lightning's. Logs lr-<Optimizer> (a second one of that class: lr-<Optimizer>-1), with several
// parameter groups lr-<Optimizer>/pg1 and so on; on
// request also …-momentum and …-weight_decay. With "step" the value the step in hand is taken with, in the rows of
// training steps; with "epoch" the value at the start of the epoch, in the epoch's row.
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
  void end_epoch(Trainer& trainer);
  void read(Trainer& trainer);

  Options options_;
  struct Watched {
    size_t optimizer, group;
    std::string name;
    std::string momentum;  // the option that is its momentum, or ""
    bool decay;
  };
  std::vector<Watched> watched_;
  std::vector<std::pair<std::string, double>> values_;
};

}  // namespace fathom::callbacks
