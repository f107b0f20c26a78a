// CrossEntropyLoss: of logits and classes, with weights of classes and a mask.
#pragma once

#include "fathom/module.h"

namespace fathom::asr {

// logits (B, …, C), labels (B, …) integers, loss_mask (B, …) optional: positions that count -> loss: a scalar, or one
// number a position for reduction none. Without any position the loss is that of the likeliest classes, as in NeMo.
// State: weight (C), where the options have one.
class CrossEntropyLoss final : public Loss {
 public:
  struct Options {
    int64_t logits_ndim = 2;
    std::optional<std::vector<double>> weight;
    std::string reduction = "mean";
    int64_t ignore_index = -100;
    static void describe(OptionSet<Options>& o);
  };
  explicit CrossEntropyLoss(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
  at::Tensor weight_;  // undefined: none
};

}  // namespace fathom::asr
