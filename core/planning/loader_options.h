// What a data section says to the loader. No torch. Thread-safe: no state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fathom/options.h"

namespace fathom {

// What becomes of an item that cannot be used: the run ends, or goes on without it.
enum class ItemPolicy { kError, kSkip };

// The loader's part of a data section (train_ds, validation_ds, …), by NeMo's key names.
struct LoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;
  int64_t num_workers = 0;      // 0: batches are made by the caller's thread
  int64_t prefetch_factor = 2;  // batches in flight per worker
  bool use_bucketing = false;   // batches of items of like length (Lhotse's names)
  int64_t num_buckets = 30;
  // A batch of items of like length is filled until its padded total, longest times count, would be more. One of the
  // two, in place of batch_size, for datasets that know the lengths of their items in that unit (fathom.lengths/1).
  std::optional<double> max_seconds = std::nullopt;
  std::optional<double> max_tokens = std::nullopt;
  ItemPolicy on_too_long = ItemPolicy::kError;  // an item longer than that
  ItemPolicy on_error = ItemPolicy::kError;     // an item that cannot be read

  // The one of max_seconds and max_tokens that is given.
  struct FillLimit {
    const char* option;
    const char* unit;  // "seconds", "tokens"
    double limit;
  };
  std::optional<FillLimit> fill_limit() const;
  // The keys it knows.
  static const std::vector<std::string>& keys();
  // How items are put into batches, where not by batch_size alone: what a run that goes on must find as it was.
  std::string batching() const;
  // Reads those keys from a section and leaves the others to the dataset. `shuffle_default` is the stage's. Keys that
  // contradict one another are an error (kFailed) that names them; null stands for a key that is not there.
  static LoaderOptions from_section(const Json& section, const std::string& config_path, bool shuffle_default = false);
};

}  // namespace fathom
