#include <algorithm>
#include <cmath>

#include "plugins/asr/data/lhotse_order.h"

namespace fathom::asr {

void LhotseOptions::describe(OptionSet<LhotseOptions>& o) {
  using Options = LhotseOptions;
  o("batch_size", &Options::batch_size, "clips of a batch at most");
  o("batch_duration", &Options::batch_duration, "of a batch, its longest clip times their number", "s");
  o("quadratic_duration", &Options::quadratic_duration, "a clip that long counts twice, longer ones more", "s");
  o("min_duration", &Options::min_duration, "shorter clips are left out", "s");
  o("max_duration", &Options::max_duration, "longer clips are left out", "s");
  o("use_bucketing", &Options::use_bucketing, "clips of like length share a batch");
  o("drop_last", &Options::drop_last, "batches that are not full are left out");
  o("concurrent_bucketing", &Options::concurrent_bucketing, "accepted; no order depends on a thread here");
  o("force_finite", &Options::force_finite, "accepted; epochs have an end here");
  o("num_buckets", &Options::num_buckets, "where the bins are not given");
  o("bucket_buffer_size", &Options::bucket_buffer_size, "clips that wait in buckets");
  o("shuffle_buffer_size", &Options::shuffle_buffer_size, "clips among which the next one is drawn");
  o("num_cuts_for_bins_estimate", &Options::num_cuts_for_bins_estimate, "clips that bins are estimated from");
  o("seed", &Options::seed, "of the order, where shard_seed is randomized");
  o("bucket_batch_size", &Options::bucket_batch_size, "clips of a batch, by bucket");
  o("bucket_duration_bins", &Options::bucket_duration_bins, "where buckets end", "s");
  o("shard_seed", &Options::shard_seed, "of the order: a number, randomized (seed), or trng (the run's)");
}

const std::vector<std::string>& LhotseOptions::own_keys() {
  static const std::vector<std::string> keys = {
      "batch_duration",      "quadratic_duration", "concurrent_bucketing",       "force_finite", "bucket_buffer_size",
      "shuffle_buffer_size", "shard_seed",         "num_cuts_for_bins_estimate", "seed",         "bucket_batch_size",
      "bucket_duration_bins"};
  return keys;
}

LhotseOptions LhotseOptions::from_section(const Json& section, const std::string& path) {
  Json own = Json::object();
  for (const std::string& key : option_names<LhotseOptions>()) {
    if (section.contains(key) && !section[key].is_null()) own[key] = section[key];
  }
  auto out = parse_options<LhotseOptions>(own, path);
  const auto refuse = [&](const char* key, const std::string& what, const std::string& expected) {
    throw Error(Code::kFailed, what)
        .at(path + "." + key)
        .seen(own.contains(key) ? json_text(own[key]) : "nothing")
        .expected(expected);
  };
  const auto positive = [&](const char* key, const auto& value) {
    if (value && !(*value > 0)) refuse(key, std::string(key) + " must be positive", "a number above 0");
  };
  positive("batch_size", out.batch_size);
  positive("batch_duration", out.batch_duration);
  positive("quadratic_duration", out.quadratic_duration);
  for (const auto& [key, value] : {std::pair{"num_buckets", out.num_buckets},
                                   {"bucket_buffer_size", out.bucket_buffer_size},
                                   {"num_cuts_for_bins_estimate", out.num_cuts_for_bins_estimate}}) {
    if (value < 1) refuse(key, std::string(key) + " must be positive", "a number above 0");
  }
  if (out.shuffle_buffer_size < 1) refuse("shuffle_buffer_size", "a buffer must hold a clip", "a number above 0");
  // As NeMo, which sees from the buckets' options that there are to be buckets.
  if (out.bucket_batch_size || out.bucket_duration_bins) out.use_bucketing = true;
  if (const auto& bins = out.bucket_duration_bins; bins && !std::is_sorted(bins->begin(), bins->end()))
    refuse("bucket_duration_bins", "the bins must ascend", "numbers from short to long");
  if (const auto& sizes = out.bucket_batch_size) {
    if (!out.bucket_duration_bins)
      refuse("bucket_batch_size", "sizes by bucket need the buckets' ends", "bucket_duration_bins as well");
    if (std::any_of(sizes->begin(), sizes->end(), [](int64_t size) { return size < 1; }))
      refuse("bucket_batch_size", "a batch's size must be positive", "numbers above 0");
  }
  if (!out.batch_size && !out.batch_duration && !out.bucket_batch_size)
    refuse("batch_size", "nothing says how large a batch is",
           "batch_size, batch_duration, or bucket_batch_size with bucket_duration_bins");
  const Json& seed = out.shard_seed;
  const bool is_number = seed.is_number_integer() && seed.get<int64_t>() >= 0;
  if (!is_number && seed != Json("trng") && seed != Json("randomized"))
    refuse("shard_seed", "this is no seed of an order", "a number from 0 on, randomized or trng");
  return out;
}

}  // namespace fathom::asr
