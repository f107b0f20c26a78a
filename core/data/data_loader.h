// Batches of a dataset, in a deterministic order, prefetched by worker threads.
//
// One consumer thread. The order and the content of batches depend on (seed, epoch) only, never on the workers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "fathom/dataset.h"
#include "fathom/options.h"

namespace fathom {

// The loader's part of a data section (train_ds, validation_ds, …), by NeMo's key names.
struct LoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;
  int64_t num_workers = 0;      // 0: batches are made by the caller's thread
  int64_t prefetch_factor = 2;  // batches in flight per worker

  // Reads the keys it knows from a section and leaves the others to the model. `shuffle_default` is the stage's.
  static LoaderOptions from_section(const Json& section, const std::string& config_path, bool shuffle_default = false);
};

class DataLoader {
 public:
  DataLoader(DatasetHandle dataset, LoaderOptions options, uint64_t seed);
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  // Batches of an epoch. The last one may be short, unless drop_last.
  int64_t size() const;
  int64_t dataset_size() const;
  const LoaderOptions& options() const;
  // From the next start_epoch() on: items in the dataset's own order.
  void stop_shuffling();

  // Begins an epoch at `first_batch`; abandons the one before. `last_batch` bounds prefetching to what will be used.
  void start_epoch(int64_t epoch, int64_t first_batch = 0, int64_t last_batch = -1);
  // The next batch, or nothing at the end. An item's error is thrown when its batch is due.
  std::optional<Values> next();

 private:
  class Workers;
  Values make_batch(int64_t batch) const;

  DatasetHandle dataset_;
  LoaderOptions options_;
  uint64_t seed_;
  int64_t dataset_size_;
  int64_t epoch_ = 0, next_batch_ = 0, end_batch_ = 0;
  std::vector<int64_t> order_;
  std::unique_ptr<Workers> workers_;
};

}  // namespace fathom
