// CTCLoss: connectionist temporal classification (Graves et al. 2006); the blank is the last class.
#pragma once

#include "fathom/module.h"

namespace fathom::asr {

// log_probs (B, T, V), targets (B, U) integers, input_lengths (B), target_lengths (B) -> loss: a scalar, or (B) for
// reduction none. Reductions: mean_batch (mean of the items' losses), mean_volume (their sum over the sum of target
// lengths), mean (torch's: each item's loss over its target length, then the mean), sum, none.
class CTCLoss final : public Loss {
 public:
  struct Options {
    int64_t num_classes = 0;
    bool zero_infinity = false;
    std::string reduction = "mean_batch";
    static void describe(OptionSet<Options>& o);
  };
  explicit CTCLoss(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
};

}  // namespace fathom::asr
