#include "plugins/schedulers/common.h"

FATHOM_PLUGIN("schedulers", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::schedulers;
  add_warmup(r);
  add_hold(r);
  add_noam(r);
  add_torch_chained(r);
  add_torch_cyclic(r);
  add_plateau(r);
  add_swa(r);
}
