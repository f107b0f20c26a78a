// What this plugin gives: the names that configs use.
#include "lion.h"
#include "mean_pool.h"

FATHOM_PLUGIN("my_collection", "0.1.0", "Apache-2.0", "you", "https://example.org/my_collection") {
  r.add<MeanPool>("my_collection.MeanPool", "mean over time, then a linear layer");
  r.add<Lion>("my_collection.Lion", "sign of an interpolated momentum (arXiv:2302.06675)");
}
