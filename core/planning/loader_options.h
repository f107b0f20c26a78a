// What a data section says to the loader. No torch. Thread-safe: no state.
#pragma once

#include <string>
#include <vector>

#include "fathom/options.h"

namespace fathom {

// The loader's part of a data section (train_ds, validation_ds, …), by NeMo's key names.
struct LoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;
  int64_t num_workers = 0;      // 0: batches are made by the caller's thread
  int64_t prefetch_factor = 2;  // batches in flight per worker
  bool use_bucketing = false;   // batches of items of like length (Lhotse's names)
  int64_t num_buckets = 30;

  // The keys it knows.
  static const std::vector<std::string>& keys();
  // Reads those keys from a section and leaves the others to the dataset. `shuffle_default` is the stage's.
  static LoaderOptions from_section(const Json& section, const std::string& config_path, bool shuffle_default = false);
};

}  // namespace fathom
