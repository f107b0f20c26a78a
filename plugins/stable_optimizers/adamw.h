// AdamW (Loshchilov, Hutter 2019), with AMSGrad (Reddi et al. 2018), on libtorch's stable ABI.
#pragma once

#include "fathom/plugin.h"

namespace fathom::stable_optimizers {

void add_adamw(Registry& r);

}  // namespace fathom::stable_optimizers
