// An optimizer: options, the state it keeps per parameter, and the formula.
#pragma once

#include "fathom/optimizer.h"

struct LionOptions {
  double lr = 1e-4;
  std::vector<double> betas = {0.9, 0.99};
  double weight_decay = 0;
  static void describe(fathom::OptionSet<LionOptions>& o) {
    o("lr", &LionOptions::lr, "learning rate");
    o("betas", &LionOptions::betas, "weights of the old momentum: in the update, and in the momentum kept");
    o("weight_decay", &LionOptions::weight_decay, "decoupled weight decay");
  }
};

class Lion final : public fathom::Optimizer<LionOptions> {
 public:
  using Optimizer::Optimizer;
  std::vector<fathom::StateSlot> slots(const LionOptions&) const override { return {{"exp_avg"}}; }
  void update(LionOptions& options, fathom::UpdateBatch& batch) override;
};
