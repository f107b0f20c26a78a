// Datasets that choose which items share a batch ("fathom.batch_plan/1"), where the loader's own ways (in order,
// shuffled, or bucketed by length_hint with use_bucketing) do not do.
#pragma once

#include <vector>

#include "fathom/abi/batch_plan.h"
#include "fathom/capability.h"

namespace fathom {

struct BatchRequest {
  uint64_t seed = 0;  // of the run
  int64_t epoch = 0;
  int64_t batch_size = 1;
  bool shuffle = false, drop_last = false;
};

class BatchPlanner {
 public:
  virtual ~BatchPlanner() = default;
  // The epoch's batches, in order, each a list of indices. Depends on the request alone.
  virtual std::vector<std::vector<int64_t>> plan_batches(const BatchRequest& request) const = 0;
};

template <>
struct Capability<BatchPlanner> {
  static constexpr std::string_view id = FATHOM_BATCH_PLAN_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_batch_plan_v1 table = {
        sizeof(fathom_batch_plan_v1),
        [](void* self, const fathom_batch_request* given, const fathom_batch_sink* batches) {
          return guard([&] {
            const fathom_batch_request r = filled(given);
            const BatchRequest request{r.seed, r.epoch, r.batch_size, r.shuffle != 0, r.drop_last != 0};
            for (const auto& batch : Get::get(self).plan_batches(request))
              check(batches->emit(batches->ctx, batch.data(), batch.size()));
          });
        }};
    return &table;
  }
};

}  // namespace fathom
