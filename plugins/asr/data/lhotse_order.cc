#include "plugins/asr/data/lhotse_order.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <numeric>

#include "plugins/asr/data/numpy_random.h"

namespace fathom::asr {
namespace {

// The generator that chooses buckets is seeded alike in every process, so that these work on clips of like length.
constexpr uint64_t kBucketSeed = 1234;

using Batch = std::vector<int64_t>;

size_t bucket_of(const std::vector<double>& bins, double duration) {
  return static_cast<size_t>(std::lower_bound(bins.begin(), bins.end(), duration) - bins.begin());
}

}  // namespace

// When a batch is full: one item more, as long as its longest one, would be too much.
class LhotseOrder::Constraint {
 public:
  explicit Constraint(const LhotseOrder& order) : order_(order) {}
  void add(int64_t item) {
    double duration = order_.durations_[static_cast<size_t>(item)];
    if (order_.options_.bucket_batch_size) bucket_ = bucket_of(order_.bins_, duration);
    if (const auto& quadratic = order_.options_.quadratic_duration) duration += duration * duration / *quadratic;
    longest_ = std::max(longest_, duration);
    ++count_;
  }
  bool is_full() const {
    const LhotseOptions& o = order_.options_;
    if (o.bucket_batch_size) return count_ >= (*o.bucket_batch_size)[bucket_];
    if (o.batch_size && count_ >= *o.batch_size) return true;
    return o.batch_duration && static_cast<double>(count_ + 1) * longest_ > *o.batch_duration;
  }

 private:
  const LhotseOrder& order_;
  int64_t count_ = 0;
  double longest_ = 0;
  size_t bucket_ = 0;
};

// The items one after another: once, or of tar files again and again.
class LhotseOrder::Items {
 public:
  Items(const LhotseOrder& order, bool shuffle, uint64_t seed, bool endless)
      : order_(order), shuffle_(shuffle), seed_(seed), endless_(endless) {
    begin_pass();
  }
  std::optional<int64_t> next() {
    while (at_ == items_.size()) {
      if (!endless_) return std::nullopt;
      begin_pass();
    }
    return items_[at_++];
  }

 private:
  void begin_pass() {
    std::vector<int64_t> starts = order_.shard_starts_;
    if (starts.empty()) starts = {0, static_cast<int64_t>(order_.durations_.size())};
    std::vector<size_t> shards(starts.size() - 1);
    std::iota(shards.begin(), shards.end(), size_t{0});
    if (shuffle_ && shards.size() > 1) PythonRandom(seed_ + pass_).shuffle(shards);
    ++pass_;
    items_.clear();
    at_ = 0;
    const auto& sizes = order_.options_.bucket_batch_size;
    for (const size_t shard : shards) {
      for (int64_t item = starts[shard]; item < starts[shard + 1]; ++item) {
        // Of sizes that are given by bucket there is none for what is longer than the last.
        const bool fits =
            !sizes || bucket_of(order_.bins_, order_.durations_[static_cast<size_t>(item)]) < sizes->size();
        if (fits) items_.push_back(item);
      }
    }
  }
  const LhotseOrder& order_;
  const bool shuffle_;
  const uint64_t seed_;
  const bool endless_;
  uint64_t pass_ = 0;
  std::vector<int64_t> items_;
  size_t at_ = 0;
};

// Batches of one pass, or of an endless one.
class LhotseOrder::Sampler {
 public:
  Sampler(const LhotseOrder& order, bool shuffle, uint64_t shard_seed, uint64_t seed, bool endless)
      : order_(order),
        shuffle_(shuffle),
        items_(order, shuffle, shard_seed, endless),
        random_(seed),
        bucket_random_(kBucketSeed) {
    if (!order.options_.use_bucketing) return;
    buckets_.resize(order.bins_.size() + 1);
    const LhotseOptions& o = order.options_;
    fill_buckets(o.bucket_buffer_size + o.shuffle_buffer_size);
  }

  std::optional<Batch> next() { return buckets_.empty() ? next_in_order() : next_of_buckets(); }

 private:
  // --- in order
  std::optional<int64_t> next_item() {
    if (!shuffle_) return items_.next();
    const auto most = static_cast<size_t>(order_.options_.shuffle_buffer_size);
    while (auto item = items_.next()) {
      if (buffer_.size() < most) {
        if (const auto one_more = items_.next()) buffer_.push_back(*one_more);
      }
      if (!buffer_.empty()) std::swap(*item, buffer_[random_.below(static_cast<uint32_t>(buffer_.size()))]);
      if (starting_ && buffer_.size() < most) {
        buffer_.push_back(*item);
        continue;
      }
      starting_ = false;
      return item;
    }
    if (left_ == buffer_.size()) return std::nullopt;
    return buffer_[left_++];
  }
  std::optional<Batch> next_in_order() {
    Batch batch;
    Constraint constraint(order_);
    while (const auto item = next_item()) {
      batch.push_back(*item);
      constraint.add(*item);
      if (constraint.is_full()) return batch;
    }
    if (batch.empty() || order_.options_.drop_last) return std::nullopt;
    return batch;
  }

  // --- of buckets
  void fill_buckets(int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const auto item = items_.next();
      if (!item) return;
      buckets_[bucket_of(order_.bins_, order_.durations_[static_cast<size_t>(*item)])].push_back(*item);
    }
  }
  bool fills_a_batch(const std::deque<int64_t>& bucket) const {
    Constraint constraint(order_);
    for (const int64_t item : bucket) {
      constraint.add(item);
      if (constraint.is_full()) return true;
    }
    return false;
  }
  // Every process takes a batch of the same bucket before another one is drawn.
  int64_t drawn_bucket() {
    if (drawn_ < 0 || uses_ == order_.world()) {
      drawn_ = bucket_random_.below(static_cast<uint32_t>(buckets_.size()));
      uses_ = 0;
    }
    ++uses_;
    return drawn_;
  }
  // The nearest to the drawn one that will do, looked for on both sides in turn.
  template <typename Does>
  int64_t choose_bucket(const Does& does) {
    const auto count = static_cast<int64_t>(buckets_.size());
    int64_t at = drawn_bucket(), lowest = at, highest = at;
    for (int64_t tries = 1; at < 0 || at >= count || !does(buckets_[static_cast<size_t>(at)]); ++tries) {
      if (lowest < 0 && highest >= count) return -1;
      at += tries % 2 == 0 ? tries : -tries;
      lowest = std::min(lowest, at);
      highest = std::max(highest, at);
    }
    return at;
  }
  std::optional<Batch> next_of_buckets() {
    const auto before = std::tuple(bucket_random_, drawn_, uses_);
    int64_t chosen = choose_bucket([&](const auto& bucket) { return fills_a_batch(bucket); });
    if (chosen < 0) {
      if (order_.options_.drop_last) return std::nullopt;
      std::tie(bucket_random_, drawn_, uses_) = before;
      chosen = choose_bucket([](const auto& bucket) { return !bucket.empty(); });
      if (chosen < 0) return std::nullopt;
    }
    std::deque<int64_t>& bucket = buckets_[static_cast<size_t>(chosen)];
    std::vector<size_t> places(bucket.size());
    std::iota(places.begin(), places.end(), size_t{0});
    if (shuffle_) random_.shuffle(places);
    Batch batch;
    Constraint constraint(order_);
    for (const size_t place : places) {
      batch.push_back(bucket[place]);
      constraint.add(batch.back());
      if (constraint.is_full()) break;
    }
    places.resize(batch.size());
    std::sort(places.rbegin(), places.rend());
    for (const size_t place : places) bucket.erase(bucket.begin() + static_cast<std::ptrdiff_t>(place));
    fill_buckets(static_cast<int64_t>(batch.size()));
    return batch;
  }

  const LhotseOrder& order_;
  const bool shuffle_;
  Items items_;
  PythonRandom random_;
  std::vector<int64_t> buffer_;  // of items in order
  bool starting_ = true;
  size_t left_ = 0;
  std::vector<std::deque<int64_t>> buckets_;
  PythonRandom bucket_random_;
  int64_t drawn_ = -1, uses_ = 0;
};

// This process's batches without end.
class LhotseOrder::Stream {
 public:
  Stream(const LhotseOrder& order, bool shuffle, uint64_t seed, bool finite)
      : order_(order), shuffle_(shuffle), seed_(seed), finite_(finite), tarred_(!order.shard_starts_.empty()) {
    begin_pass();
  }
  bool is_of(bool shuffle, uint64_t seed) const { return shuffle_ == shuffle && seed_ == seed; }

  std::optional<Batch> next() {
    std::optional<Batch> batch = next_of_pass();
    if (batch || finite_) return batch;
    begin_pass();
    return next_of_pass();
  }
  int64_t epoch = 0;  // the next one

 private:
  void begin_pass() {
    const bool endless = tarred_ && !finite_;
    sampler_ = std::make_unique<Sampler>(order_, shuffle_, seed_, seed_ + pass_, endless);
    ++pass_;
  }
  // Of tarred items each process has its own; of others each takes one in turn, and the last ones are shared out.
  std::optional<Batch> next_of_pass() {
    const auto world = static_cast<size_t>(order_.world());
    const auto rank = static_cast<size_t>(tarred_ ? 0 : order_.rank_.rank);
    std::vector<Batch> batches;
    while (batches.size() < world) {
      auto batch = sampler_->next();
      if (!batch) break;
      batches.push_back(std::move(*batch));
    }
    if (batches.empty() || (batches.size() < world && order_.options_.drop_last)) return std::nullopt;
    if (batches.size() == world) return batches[rank];
    Batch all;
    for (const Batch& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
    for (size_t i = 0; all.size() < world; ++i) all.push_back(all[i]);
    const size_t share = all.size() / world, more = all.size() % world;
    const size_t begin = rank * share + std::min(rank, more);
    const size_t end = begin + share + (rank < more ? 1 : 0);
    return Batch(all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end));
  }
  const LhotseOrder& order_;
  const bool shuffle_;
  const uint64_t seed_;
  const bool finite_, tarred_;
  uint64_t pass_ = 0;
  std::unique_ptr<Sampler> sampler_;
};

LhotseOrder::LhotseOrder(LhotseOptions options, std::vector<double> durations, std::vector<int64_t> shard_starts,
                         const std::string& where, const Rank& rank)
    : options_(std::move(options)),
      durations_(std::move(durations)),
      shard_starts_(std::move(shard_starts)),
      rank_(rank) {
  if (options_.use_bucketing) bins_ = duration_bins();
  check(where);
}

LhotseOrder::~LhotseOrder() = default;

void LhotseOrder::check(const std::string& where) const {
  if (options_.bucket_batch_size && options_.bucket_batch_size->size() != bins_.size()) {
    throw Error(Code::kFailed, "there must be one batch size for every bucket")
        .at(where + ".bucket_batch_size")
        .seen(std::to_string(options_.bucket_batch_size->size()) + " sizes, " + std::to_string(bins_.size()) + " bins")
        .expected("as many as bucket_duration_bins, each for what is not longer");
  }
  if (first_batches(false, 0, true, 1).empty()) {
    throw Error(Code::kBadData, "no batch can be made of the clips")
        .at(where)
        .next(options_.drop_last ? "set drop_last: false" : "give bucket_duration_bins that reach the clips");
  }
}

// NeMo's: those that are given, equal steps up to max_duration, or such that each bucket has as much to hear.
std::vector<double> LhotseOrder::duration_bins() const {
  const LhotseOptions& o = options_;
  if (o.bucket_duration_bins) return *o.bucket_duration_bins;
  std::vector<double> bins;
  if (o.max_duration) {
    const double begin = std::max(o.min_duration.value_or(0), 0.0);
    const double step = (*o.max_duration - begin) / static_cast<double>(o.num_buckets);
    for (int64_t i = 1; i < o.num_buckets; ++i) bins.push_back(begin + step * static_cast<double>(i));
    return bins;
  }
  const auto count = std::min(durations_.size(), static_cast<size_t>(o.num_cuts_for_bins_estimate));
  std::vector<double> sorted(durations_.begin(), durations_.begin() + static_cast<std::ptrdiff_t>(count));
  std::sort(sorted.begin(), sorted.end());
  const double share = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(o.num_buckets);
  double total = 0;
  for (const double duration : sorted) {
    if (total > share) {
      bins.push_back(duration);
      total = 0;
    }
    total += duration;
  }
  return bins;
}

uint64_t LhotseOrder::seed_of_shards(uint64_t seed) const {
  if (options_.shard_seed.is_number_integer()) return options_.shard_seed.get<uint64_t>();
  return options_.shard_seed == Json("randomized") ? static_cast<uint64_t>(options_.seed) : seed;
}

std::vector<Batch> LhotseOrder::first_batches(bool shuffle, uint64_t seed, bool finite, size_t most) const {
  Stream stream(*this, shuffle, seed_of_shards(seed), finite);
  std::vector<Batch> out;
  while (out.size() < most) {
    auto batch = stream.next();
    if (!batch) break;
    out.push_back(std::move(*batch));
  }
  return out;
}

std::vector<Batch> LhotseOrder::of_epoch(bool shuffle, uint64_t seed, int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  const uint64_t drawn = seed_of_shards(seed);
  const size_t count = first_batches(shuffle, seed, true, std::numeric_limits<size_t>::max()).size();
  if (!stream_ || !stream_->is_of(shuffle, drawn) || stream_->epoch > epoch)
    stream_ = std::make_unique<Stream>(*this, shuffle, drawn, false);
  std::vector<Batch> out;
  for (; stream_->epoch <= epoch; ++stream_->epoch) {
    out.clear();
    while (out.size() < count) out.push_back(*stream_->next());
  }
  return out;
}

}  // namespace fathom::asr
