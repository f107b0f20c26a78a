// GradientAccumulationScheduler: Lightning's. From given epochs on, so many batches make an optimizer step. Here the
// schedule of learning rates is planned over the steps that this comes to.
#pragma once

#include <map>
#include <string>

#include "fathom/callback.h"

namespace fathom::callbacks {

class GradientAccumulationScheduler final : public Callback {
 public:
  struct Options {
    std::map<std::string, int64_t> scheduling;
    static void describe(OptionSet<Options>& o) {
      o.required("scheduling", &Options::scheduling,
                 "{epoch: batches}: from that 0-based epoch on so many batches make an optimizer step; one before");
    }
  };
  explicit GradientAccumulationScheduler(const Options& options);

 private:
  void plan(Trainer& trainer) { trainer.plan_accumulation(batches_from_epoch_); }

  std::map<int64_t, int64_t> batches_from_epoch_;
};

}  // namespace fathom::callbacks
