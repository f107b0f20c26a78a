// Batches of a dataset, in a deterministic order, prefetched by worker threads.
//
// One consumer thread. The order and the content of batches depend on (seed, epoch) only, never on the workers. Which
// items share a batch is said by the dataset where it plans batches itself ("fathom.batch_plan/1"), by their lengths
// with use_bucketing, max_seconds or max_tokens, and else by the order. The items of an iterable dataset
// ("fathom.iterable/1") come as they come.
//
// Errors name the item or the batch that they are about. With on_error=skip an item that cannot be read is left out of
// its batch, which then is a smaller one; positions stay what they are, so a run goes on in mid-epoch as it would have.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/batch_workers.h"
#include "core/data/left_out_items.h"
#include "core/data/sampler.h"
#include "core/planning/loader_options.h"
#include "fathom/abi/batch_plan.h"
#include "fathom/abi/iterable.h"
#include "fathom/abi/lengths.h"
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
  // Whether batches are planned, and not cut from the order by batch_size.
  bool plans_batches() const { return planned_batches_ >= 0; }
  const LoaderOptions& options() const;
  const std::string& where() const { return where_; }
  bool is_iterable() const { return static_cast<bool>(iterable_); }
  // What its batches hold, with the sources that its values carry; empty where the dataset does not say. Names are
  // borrowed from the dataset.
  const std::vector<fathom_port>& ports() const { return ports_; }
  // A batch of the first items that can be used, outside of any epoch. Nothing where there are none. Not for an
  // iterable dataset.
  std::optional<Values> first_items(int64_t count) const;
  // From the next start_epoch() on: items in the dataset's own order.
  void stop_shuffling();

  // Begins an epoch at `first_batch`; abandons the one before. `last_batch` bounds prefetching to what will be used.
  // Of the items before, none is read.
  void start_epoch(int64_t epoch, int64_t first_batch = 0, int64_t last_batch = -1);
  // The next batch, or nothing at the end. An item's error is thrown when its batch is due.
  std::optional<Values> next();
  // Of the batch that next() gave last, until has_next(): its items, and the seconds of audio in them, 0 where the
  // dataset does not tell.
  int64_t items_of_batch() const { return items_of_batch_; }
  double seconds_of_batch() const { return seconds_of_batch_; }
  // Of the epoch in hand, for messages: "batch 2 of epoch 0 of model.train_ds (…), items 3, 7".
  std::string name_of_batch(int64_t batch) const;
  // Whether next() will give one; for an iterable dataset that takes making it.
  bool has_next();

 private:
  MadeBatch make_batch(int64_t batch) const;
  MadeBatch iterated_batch() const;
  std::optional<Values> take();
  DatasetHandle::Sample read_item(int64_t index, int64_t epoch) const;
  bool may_be_left_out(const Error& error) const;
  // With the types of the dataset's ports, so that a typed call can tell what does not fit, and whose it was. An error
  // names the batch: name() is called for it.
  template <typename Name>
  Values collate(const std::vector<DatasetHandle::Sample>& samples, const Name& name) const;
  // The length of every item, by `length_of`; one that is not known is an error about `option`.
  template <typename Length>
  void read_lengths(const char* option, const Length& length_of);
  void fill_batches(const LoaderOptions::FillLimit& fill);
  void check_too_long(const LoaderOptions::FillLimit& fill) const;
  double length_of(int64_t item, std::string_view unit) const;
  void refuse_options_of_iterable() const;
  BatchList plan(int64_t epoch) const;
  BatchList dataset_plan(int64_t epoch) const;
  std::string name_of_item(int64_t index) const;
  std::string name_of_batch(int64_t batch, const int64_t* items, int64_t count) const;

  DatasetHandle dataset_;
  LoaderOptions options_;
  uint64_t seed_;
  std::string where_, owner_;  // owner_: where_, or the dataset's name
  std::vector<fathom_port> ports_;
  int64_t dataset_size_;
  int64_t epoch_ = 0, next_batch_ = 0, end_batch_ = 0;
  int64_t planned_batches_ = -1;  // of every epoch; -1: not planned
  std::vector<double> lengths_;   // of the items, with use_bucketing, max_seconds or max_tokens
  FilledBatches filled_;          // with max_seconds or max_tokens
  BatchList batches_;             // of the epoch, where planned
  std::vector<int64_t> order_;    // of the epoch, elsewhere
  Extension<fathom_iterable_v1> iterable_;
  Extension<fathom_batch_plan_v1> planner_;
  Extension<fathom_lengths_v1> measured_;
  std::vector<std::string> units_;  // of measured_
  bool tells_seconds_ = false;
  mutable bool exhausted_ = false;  // the iterable has ended; one thread makes its batches
  mutable int64_t iterated_ = 0;    // its items so far in the epoch
  int64_t items_of_batch_ = 0;
  double seconds_of_batch_ = 0;
  std::optional<Values> peeked_;
  LeftOutItems left_out_;
  std::unique_ptr<BatchWorkers> workers_;  // the last: they read all of the above
};

}  // namespace fathom
