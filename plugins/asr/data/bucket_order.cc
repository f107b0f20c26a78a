// BucketOrder: NeMo's chains of buckets; and the order of tarred items.
#include <algorithm>
#include <numeric>
#include <set>

#include "fathom/nearest_names.h"
#include "plugins/asr/data/numpy_random.h"
#include "plugins/asr/data/set_orders.h"
#include "plugins/asr/data/set_random.h"

namespace fathom::asr {
namespace {

// What NeMo draws the seed of fully_randomized from.
constexpr uint32_t kHighestBucketSeed = 30000;

[[noreturn]] void refuse_option(const std::string& where, const std::string& what, const std::string& seen,
                                const std::string& expected) {
  throw Error(Code::kFailed, what).at(where).seen(seen).expected(expected);
}

}  // namespace

std::vector<int64_t> shuffled_shards(const std::vector<int64_t>& starts, int64_t window, uint64_t seed) {
  std::vector<int64_t> items;
  items.reserve(static_cast<size_t>(starts.back()));
  std::vector<size_t> shards(starts.size() - 1);
  std::iota(shards.begin(), shards.end(), size_t{0});
  SetRandom random(seed);
  if (window > 0) {
    for (size_t i = shards.size(); i > 1; --i) std::swap(shards[i - 1], shards[random.below(i)]);
  }
  for (const size_t shard : shards) {
    for (int64_t item = starts[shard]; item < starts[shard + 1]; ++item) items.push_back(item);
  }
  if (window <= 1) return items;
  // The window is full of what comes next; what is taken out makes room for one more.
  std::vector<int64_t> buffer, out;
  out.reserve(items.size());
  for (const int64_t item : items) {
    if (static_cast<int64_t>(buffer.size()) < window) {
      buffer.push_back(item);
      continue;
    }
    int64_t& slot = buffer[random.below(buffer.size())];
    out.push_back(slot);
    slot = item;
  }
  for (size_t i = buffer.size(); i > 1; --i) std::swap(buffer[i - 1], buffer[random.below(i)]);
  out.insert(out.end(), buffer.begin(), buffer.end());
  return out;
}

BucketOrder::BucketOrder(const BucketOptions& options, size_t buckets, const std::string& where)
    : strategy_(options.strategy), where_(where), rank_(options.rank) {
  const std::vector<std::string> known = {"fixed_order", "synced_randomized", "fully_randomized"};
  if (std::find(known.begin(), known.end(), strategy_) == known.end()) {
    throw Error(Code::kFailed, "there is no such order of buckets")
        .at(where + ".bucketing_strategy")
        .seen(strategy_)
        .expected("fixed_order, synced_randomized or fully_randomized")
        .candidates(nearest_names(strategy_, known));
  }
  read_weights(options.weights, buckets);
  read_batch_sizes(options.batch_size, buckets);
}

void BucketOrder::read_weights(const Json& weights, size_t buckets) {
  const std::string where = where_ + ".bucketing_weights";
  const bool given = !weights.is_null() && !(weights.is_array() && weights.empty());
  if (given && (!weights.is_array() || weights.size() != buckets))
    refuse_option(where, "there must be one weight for every bucket", json_text(weights),
                  std::to_string(buckets) + " positive integers");
  for (size_t bucket = 0; bucket < buckets; ++bucket) {
    int64_t weight = 1;
    if (given) {
      const Json& one = weights[bucket];
      if (!one.is_number_integer() || one.get<int64_t>() < 1 || one.get<int64_t>() > 10'000)
        refuse_option(where, "a weight says how often a bucket is read in an epoch", json_text(weights),
                      "integers from 1 to 10000");
      weight = one.get<int64_t>();
    }
    sets_.insert(sets_.end(), static_cast<size_t>(weight), bucket);
  }
}

// NeMo scales one number by the buckets that are left, counted with their weights: the first one's items are the
// shortest.
void BucketOrder::read_batch_sizes(const Json& sizes, size_t buckets) {
  if (sizes.is_null()) return;
  const std::string where = where_ + ".bucketing_batch_size";
  const auto positive = [&](const Json& size) {
    if (!size.is_number_integer() || size.get<int64_t>() < 1 || size.get<int64_t>() > (int64_t{1} << 32))
      refuse_option(where, "a batch's size must be positive", json_text(sizes), "an integer, or one for every bucket");
    return size.get<int64_t>();
  };
  if (sizes.is_array() && sizes.size() != buckets)
    refuse_option(where, "there must be one batch size for every bucket", json_text(sizes),
                  std::to_string(buckets) + " integers");
  for (const size_t set : sets_) {
    const auto left = static_cast<int64_t>(sets_.size() - set);
    batch_sizes_.push_back(sizes.is_array() ? positive(sizes[set]) : left * positive(sizes));
  }
}

std::vector<size_t> BucketOrder::of_epoch(uint64_t seed, int64_t epoch) const {
  std::vector<size_t> out(sets_.size());
  std::iota(out.begin(), out.end(), size_t{0});
  if (strategy_ == "fixed_order") return out;
  const bool synced = strategy_ == "synced_randomized";
  NumpyRandom random(synced ? 0 : static_cast<uint32_t>(first_python_randint(seed, kHighestBucketSeed) + rank_.rank));
  std::vector<int64_t> order;
  for (int64_t i = 0; i <= epoch; ++i) order = random.permutation(static_cast<int64_t>(out.size()));
  out.assign(order.begin(), order.end());
  return out;
}

std::vector<std::vector<SetItem>> BucketOrder::batches(
    uint64_t seed, int64_t epoch, int64_t batch_size, bool drop_last,
    const std::function<std::vector<int64_t>(size_t set, int64_t pass)>& items_of) const {
  if (!batch_sizes_.empty() && batch_size != 1) {
    throw Error(Code::kFailed, "batch_size and bucketing_batch_size contradict each other")
        .at(where_ + ".batch_size")
        .seen(std::to_string(batch_size))
        .expected("1, where the buckets have sizes of their own");
  }
  std::vector<std::vector<SetItem>> out;
  std::vector<SetItem> batch;
  std::vector<int64_t> passes(sets_.size());
  for (const size_t bucket : of_epoch(seed, epoch)) {
    const size_t set = sets_[bucket];
    const auto most = static_cast<size_t>(batch_sizes_.empty() ? batch_size : batch_sizes_[bucket]);
    for (const int64_t item : items_of(set, passes[set]++)) {
      batch.push_back({set, item});
      if (batch.size() == most) out.push_back(std::exchange(batch, {}));
    }
    if (!batch_sizes_.empty() && !batch.empty()) out.push_back(std::exchange(batch, {}));
  }
  // Batches of buckets with sizes of their own are whole to NeMo's loader, which drops nothing of them.
  if (!batch.empty() && !drop_last) out.push_back(std::move(batch));
  return out;
}

}  // namespace fathom::asr
