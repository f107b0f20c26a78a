// In which order the items of several data sets follow one another, as NeMo's ConcatDataset, ConcatMapDataset and its
// buckets have it. Uses no torch. Every order is a function of its options and the numbers given, so that a run that
// goes on finds it again.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fathom/options.h"
#include "plugins/asr/data/shard_paths.h"

namespace fathom::asr {

struct SetItem {
  size_t set = 0;
  int64_t item = 0;
  bool operator==(const SetItem&) const = default;
};

// Items of a tar set: its shards in an order drawn from `seed`, and of the next `window` items one after another one at
// random. Window 0: as they lie. `starts`: of each shard, and the end.
std::vector<int64_t> shuffled_shards(const std::vector<int64_t>& starts, int64_t window, uint64_t seed);

// --- concat ----------------------------------------------------------------------------------------------------------

struct ConcatOptions {
  std::string technique = "temperature";
  double temperature = 5, scale = 1;
  std::optional<std::vector<double>> probabilities;
  bool shuffle = true;
  std::optional<int64_t> seed;  // none: drawn anew in every epoch
  bool exhaust = false;         // an epoch of ConcatMapDataset, fixed but for the seed
  Rank rank;
};

// Errors (kFailed) name the option: an unknown technique, a temperature that is not positive, probabilities that are
// not one a set, negative or do not sum to 1, sets without items. One thread at a time.
class ConcatOrder {
 public:
  // The items of a set that is gone through for the `pass`th time in an epoch, where the sets have orders of their own
  // (tarred ones). Without it they are shuffled or not, as the options say, and dealt to the ranks.
  using Pass = std::function<std::vector<int64_t>(size_t set, int64_t pass, int64_t epoch)>;
  // `where`: the data section, for messages.
  ConcatOrder(ConcatOptions options, std::vector<int64_t> sizes, const std::string& where, Pass pass = nullptr);

  // Of an epoch; the same in each.
  int64_t size() const;
  std::vector<SetItem> of_epoch(uint64_t seed, int64_t epoch) const;

 private:
  class Shuffles;
  std::vector<double> chances() const;
  std::vector<int64_t> slice(size_t set) const;
  std::vector<SetItem> draw(uint64_t seed, int64_t epoch, Shuffles& shuffles) const;
  std::vector<SetItem> exhausting_order(uint32_t seed) const;
  void check(const std::string& where) const;

  ConcatOptions options_;
  std::vector<int64_t> sizes_;
  Pass pass_;
  std::vector<SetItem> fixed_;  // with exhaust
  // Shuffles go on from epoch to epoch: where the one that was asked for last ended.
  mutable std::mutex mutex_;
  mutable std::shared_ptr<Shuffles> shuffles_;
};

// --- buckets ---------------------------------------------------------------------------------------------------------

struct BucketOptions {
  std::string strategy = "synced_randomized";
  Json batch_size, weights;  // bucketing_batch_size: a number or a list; bucketing_weights: a list
  Rank rank;
};

// Sets of items of like length, one after another. Errors (kFailed) name the option: an unknown strategy, weights that
// are no positive integers, as many sizes or weights as there are no buckets, batch_size besides bucketing_batch_size.
class BucketOrder {
 public:
  BucketOrder(const BucketOptions& options, size_t buckets, const std::string& where);
  // Which set each of an epoch's buckets is, in order: one may come several times.
  std::vector<size_t> of_epoch(uint64_t seed, int64_t epoch) const;
  // Batches of an epoch. `items_of` gives the items of a set for the `pass`th time in the epoch.
  std::vector<std::vector<SetItem>> batches(
      uint64_t seed, int64_t epoch, int64_t batch_size, bool drop_last,
      const std::function<std::vector<int64_t>(size_t set, int64_t pass)>& items_of) const;
  // Of each set; empty where batches are cut across the buckets.
  const std::vector<int64_t>& batch_sizes() const { return batch_sizes_; }

 private:
  void read_weights(const Json& weights, size_t buckets);
  void read_batch_sizes(const Json& sizes, size_t buckets);

  std::string strategy_, where_;
  Rank rank_;
  std::vector<size_t> sets_;          // the buckets in their order, by weight
  std::vector<int64_t> batch_sizes_;  // of sets_
};

}  // namespace fathom::asr
