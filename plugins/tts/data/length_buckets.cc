#include "plugins/tts/data/length_buckets.h"

#include <algorithm>

#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

// splitmix64 (Steele et al. 2014).
class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t bound) {
    uint64_t x = (state_ += 0x9E3779B97F4A7C15u);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return (x ^ (x >> 31)) % bound;
  }
  template <typename List>
  void shuffle(List& list) {
    for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[below(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace

void LengthBuckets::Options::describe(OptionSet<Options>& o) {
  o.required("batch_size", &Options::batch_size, "clips of a batch").example(32);
  o.required("boundaries", &Options::boundaries, "lengths between which clips are put together, ascending", "frames")
      .example(Json::array({32, 300, 1000}));
  o("num_replicas", &Options::num_replicas, "accepted; batches are dealt to the run's own processes");
  o("rank", &Options::rank, "accepted, as num_replicas");
  o("shuffle", &Options::shuffle, "another order in every epoch");
  o("_target_", &Options::_target_, "accepted: NeMo's class");
}

LengthBuckets::LengthBuckets(const Options& options, const std::vector<int64_t>& lengths) : options_(options) {
  check_range("batch_size", options_.batch_size, 1, 1 << 20);
  const auto& bounds = options_.boundaries;
  if (bounds.size() < 2 || !std::is_sorted(bounds.begin(), bounds.end()) ||
      std::adjacent_find(bounds.begin(), bounds.end()) != bounds.end()) {
    throw Error(Code::kFailed, "boundaries of lengths must ascend")
        .at("boundaries")
        .seen(json_text(Json(bounds)))
        .expected("two numbers of frames or more, such as [32, 300, 1000]");
  }
  buckets_.resize(bounds.size() - 1);
  for (size_t i = 0; i < lengths.size(); ++i) {
    // Above the one and up to the other.
    const auto place = std::lower_bound(bounds.begin(), bounds.end(), lengths[i]) - bounds.begin();
    if (place == 0 || place == static_cast<int64_t>(bounds.size()))
      ++left_out_;
    else
      buckets_[static_cast<size_t>(place - 1)].push_back(static_cast<int64_t>(i));
  }
  std::erase_if(buckets_, [](const auto& bucket) { return bucket.empty(); });
  if (!buckets_.empty()) return;
  const auto [least, most] = std::minmax_element(lengths.begin(), lengths.end());
  throw Error(Code::kBadData, "no clip lies within the boundaries")
      .at("boundaries")
      .seen(lengths.empty() ? "no clips"
                            : "clips of " + std::to_string(*least) + " to " + std::to_string(*most) + " frames")
      .expected("some above " + std::to_string(bounds.front()) + " and up to " + std::to_string(bounds.back()));
}

std::vector<std::vector<int64_t>> LengthBuckets::plan_batches(const BatchRequest& request) const {
  Draws draws(request.seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(request.epoch) + 1);
  const auto size = static_cast<size_t>(options_.batch_size);
  std::vector<std::vector<int64_t>> batches;
  for (std::vector<int64_t> bucket : buckets_) {
    if (options_.shuffle) draws.shuffle(bucket);
    for (size_t start = 0; start < bucket.size(); start += size) {
      auto& batch = batches.emplace_back();
      for (size_t i = start; i < start + size; ++i) batch.push_back(bucket[i % bucket.size()]);
    }
  }
  if (options_.shuffle) draws.shuffle(batches);
  return batches;
}

}  // namespace fathom::tts
