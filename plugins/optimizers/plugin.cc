#include "plugins/optimizers/common.h"

FATHOM_PLUGIN("optimizers", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::optimizers;
  add_sgd(r);
  add_adam(r);
  add_novograd(r);
  add_adaptive(r);
  add_adafactor(r);
  add_adan(r);
  add_variants(r);
  add_large_batch(r);
  add_muon(r);
}
