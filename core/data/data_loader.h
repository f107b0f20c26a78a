// Batches of a dataset, in a deterministic order, prefetched by worker threads.
//
// One consumer thread. The order and the content of batches depend on (seed, epoch) only, never on the workers. Which
// items share a batch is said by the dataset where it plans batches itself ("fathom.batch_plan/1"), by their lengths
// with use_bucketing, and else by the order. The items of an iterable dataset ("fathom.iterable/1") come as they come.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/sampler.h"
#include "core/planning/loader_options.h"
#include "fathom/abi/batch_plan.h"
#include "fathom/abi/iterable.h"
#include "fathom/dataset.h"

namespace fathom {

class DataLoader {
 public:
  // `where`: the dataset's section ("model.train_ds"), for messages.
  DataLoader(DatasetHandle dataset, LoaderOptions options, uint64_t seed, std::string where = "");
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  // Batches of an epoch, -1 where an iterable dataset does not know. The last one may be short, unless drop_last.
  int64_t size() const;
  int64_t dataset_size() const;  // items; -1: not known
  const LoaderOptions& options() const;
  const std::string& where() const { return where_; }
  bool is_iterable() const { return static_cast<bool>(iterable_); }
  // What its batches hold, with the sources that its values carry; empty where the dataset does not say. Names are
  // borrowed from the dataset.
  const std::vector<fathom_port>& ports() const { return ports_; }
  // A batch of the first items, outside of any epoch. Nothing where there are none. Not for an iterable dataset.
  std::optional<Values> first_items(int64_t count) const;
  // From the next start_epoch() on: items in the dataset's own order.
  void stop_shuffling();

  // Begins an epoch at `first_batch`; abandons the one before. `last_batch` bounds prefetching to what will be used.
  void start_epoch(int64_t epoch, int64_t first_batch = 0, int64_t last_batch = -1);
  // The next batch, or nothing at the end. An item's error is thrown when its batch is due.
  std::optional<Values> next();
  // Of the epoch in hand, for messages: "items 3, 7 of model.train_ds".
  std::string name_of_batch(int64_t batch) const;
  // Whether next() will give one; for an iterable dataset that takes making it.
  bool has_next();

 private:
  class Workers;
  // Nothing past the end of an iterable dataset.
  std::optional<Values> make_batch(int64_t batch) const;
  std::optional<Values> iterated_batch() const;
  std::optional<Values> take();
  // With the types of the dataset's ports, so that a typed call can tell what does not fit, and whose it was.
  Values collate(const std::vector<DatasetHandle::Sample>& samples) const;
  BatchList plan(int64_t epoch) const;

  DatasetHandle dataset_;
  LoaderOptions options_;
  uint64_t seed_;
  std::string where_;
  std::vector<fathom_port> ports_;
  int64_t dataset_size_;
  int64_t epoch_ = 0, next_batch_ = 0, end_batch_ = 0;
  int64_t planned_batches_ = -1;  // of every epoch; -1: neither planned nor bucketed
  std::vector<double> lengths_;   // of the items, with use_bucketing
  BatchList batches_;             // of the epoch, where planned or bucketed
  std::vector<int64_t> order_;    // of the epoch, elsewhere
  Extension<fathom_iterable_v1> iterable_;
  Extension<fathom_batch_plan_v1> planner_;
  mutable bool exhausted_ = false;  // the iterable has ended; one thread makes its batches
  std::optional<Values> peeked_;
  std::unique_ptr<Workers> workers_;
};

}  // namespace fathom
