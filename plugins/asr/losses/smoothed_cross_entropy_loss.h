// SmoothedCrossEntropyLoss: of sequences' log-probabilities, with part of every label spread over all classes (Szegedy
// et al. 2016, arXiv:1512.00567).
#pragma once

#include "fathom/module.h"

namespace fathom::asr {

// log_probs (B, T, V), labels (B, T) integers, output_mask (B, T) optional: positions that count, by default those
// whose label is not pad_id -> loss: the mean over them, or (B, T) without per_token_reduction. No position at all: 0.
class SmoothedCrossEntropyLoss final : public Loss {
 public:
  struct Options {
    std::optional<int64_t> pad_id;
    double label_smoothing = 0;
    int64_t predict_last_k = 0;
    double eps = 1e-6;
    bool per_token_reduction = true;
    static void describe(OptionSet<Options>& o);
  };
  explicit SmoothedCrossEntropyLoss(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
};

}  // namespace fathom::asr
