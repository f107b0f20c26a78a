// Batches by seconds and in buckets as NeMo's use_lhotse makes them (Lhotse's DynamicCutSampler and
// DynamicBucketingSampler). Uses no torch.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fathom/options.h"
#include "plugins/asr/data/shard_paths.h"

namespace fathom::asr {

// Of a data section, in NeMo's names.
struct LhotseOptions {
  std::optional<int64_t> batch_size;
  std::optional<double> batch_duration, quadratic_duration, min_duration, max_duration;  // s
  bool use_bucketing = false, drop_last = false, concurrent_bucketing = true, force_finite = false;
  int64_t num_buckets = 30, bucket_buffer_size = 10000, shuffle_buffer_size = 10000;
  int64_t num_cuts_for_bins_estimate = 10000, seed = 0;
  std::optional<std::vector<int64_t>> bucket_batch_size;
  std::optional<std::vector<double>> bucket_duration_bins;  // s
  Json shard_seed = "trng";
  static void describe(OptionSet<LhotseOptions>& o);
  // Reads its keys from a section that has others too. Errors (kFailed) name config_path and the key.
  static LhotseOptions from_section(const Json& section, const std::string& config_path);
  // The keys that the section has for Lhotse alone.
  static const std::vector<std::string>& own_keys();
};

// A stream of batches that never ends: whenever all items were given, they are gone through anew, in another order
// where `shuffle` says so. An epoch is as many batches of it as the items give the first time: how many they give
// depends on the order, and every epoch must have equally many. So the first epoch is Lhotse's, and none lacks
// anything. One thread at a time.
class LhotseOrder {
 public:
  // durations: of the items. shard_starts: as ClipList's, of tarred items, which NeMo reads as one endless stream,
  // shards shuffled; empty for others, of which every pass is an epoch of Lhotse's. `where`: the section.
  LhotseOrder(LhotseOptions options, std::vector<double> durations, std::vector<int64_t> shard_starts,
              const std::string& where, const Rank& rank = {});
  ~LhotseOrder();

  // `seed` counts where shard_seed is no number.
  std::vector<std::vector<int64_t>> of_epoch(bool shuffle, uint64_t seed, int64_t epoch) const;
  // The stream's first batches; at most one pass of the items where `finite`.
  std::vector<std::vector<int64_t>> first_batches(bool shuffle, uint64_t seed, bool finite, size_t most) const;

 private:
  class Constraint;
  class Items;
  class Sampler;
  class Stream;
  std::vector<double> duration_bins() const;
  void check(const std::string& where) const;
  uint64_t seed_of_shards(uint64_t seed) const;
  // Processes that share one stream: tarred items come in a stream for each.
  int64_t world() const { return shard_starts_.empty() ? rank_.world : 1; }

  LhotseOptions options_;
  std::vector<double> durations_;
  std::vector<int64_t> shard_starts_;
  Rank rank_;
  std::vector<double> bins_;  // with buckets
  mutable std::mutex mutex_;
  mutable std::unique_ptr<Stream> stream_;  // where the epoch that was asked for last ended
};

}  // namespace fathom::asr
