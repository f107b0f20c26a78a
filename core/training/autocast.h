// Mixed precision of a forward pass, and batches in the precision of the weights.
#pragma once

#include "core/planning/precision.h"
#include "fathom/values.h"

namespace fathom::training {

// torch.autocast for the CPU while it lives; nothing for precisions that are not mixed.
class Autocast {
 public:
  explicit Autocast(Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_;
};

// Floating point tensors of a batch in the precision of the weights: a copy for 64-true and bf16-true, else the batch.
Values to_precision(const Values& batch, Precision precision);

}  // namespace fathom::training
