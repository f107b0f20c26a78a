#include "fathom/plugin.h"

#include "plugins/stable_optimizers/adamw.h"

FATHOM_PLUGIN("stable_optimizers", "0.1.0", "Apache-2.0", "fathom", "") { fathom::stable_optimizers::add_adamw(r); }
