#include "fathom/plugin.h"

#include "linear_adapter.h"

FATHOM_PLUGIN("common", "0.1.0", "Apache-2.0", "fathom", "") {
  using fathom::common::LinearAdapter;
  r.add<LinearAdapter>(
      "common.LinearAdapter", "adapter: normalisation and a bottleneck of two linear layers",
      {"nemo.collections.common.parts.adapter_modules.LinearAdapter", "nemo.collections.common.parts.LinearAdapter"});
}
