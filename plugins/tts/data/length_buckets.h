// Batches of clips of like length, as NeMo's DistributedBucketSampler makes them for VITS. Uses no torch; thread-safe.
//
//   batch_sampler: {batch_size: 32, boundaries: [32, 300, 400, 500, 600, 700, 800, 900, 1000], shuffle: true}
//
// A batch's clips lie between the same two neighbours of boundaries; clips outside of the first and the last are left
// out. The order is drawn from seed and epoch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fathom/batch_plan.h"
#include "fathom/options.h"

namespace fathom::tts {

class LengthBuckets {
 public:
  struct Options {
    int64_t batch_size = 1;
    std::vector<int64_t> boundaries = {};  // frames, ascending
    int64_t num_replicas = 1;
    bool shuffle = true;
    Json rank = {}, _target_ = {};
    static void describe(OptionSet<Options>& o);
  };
  // Throws Error (kFailed) naming the option; kBadData where no clip lies within the boundaries.
  LengthBuckets(const Options& options, const std::vector<int64_t>& lengths);

  int64_t left_out() const { return left_out_; }
  // Every batch is full: a group is gone through again from its beginning until it is.
  std::vector<std::vector<int64_t>> plan_batches(const BatchRequest& request) const;

 private:
  Options options_;
  std::vector<std::vector<int64_t>> buckets_;
  int64_t left_out_ = 0;
};

}  // namespace fathom::tts
