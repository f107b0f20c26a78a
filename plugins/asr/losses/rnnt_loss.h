// RNNTLoss: the loss of transducers by NeMo's name, from the joint network's whole output. Models train with the fused
// form of the same loss (transducer_loss.h).
#pragma once

#include "fathom/module.h"
#include "plugins/asr/losses/transducer_loss_options.h"

namespace fathom::asr {

// log_probs (B, T, U + 1, C) logits, normalized or not, targets (B, U), input_lengths (B), target_lengths (B) -> loss:
// a scalar, or (B) for reduction none (or null). Frames and labels beyond the longest item are not read.
class RNNTLoss final : public Loss {
 public:
  struct Options {
    int64_t num_classes = 0;
    std::optional<std::string> reduction = "mean_batch";
    std::string loss_name = "default";
    Json loss_kwargs;
    static void describe(OptionSet<Options>& o);
  };
  explicit RNNTLoss(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  static void describe_ports(Json& schema);

 private:
  TransducerLossOptions options_;
};

}  // namespace fathom::asr
