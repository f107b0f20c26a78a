// The processes of one run, as a plugin sees them ("fathom.distributed/1" of the host). A program without the engine,
// and one that runs alone, is a single process: rank 0 of 1. Functions but rank() and world_size() are called by all
// processes together, in the same order, on the training thread.
#pragma once

#include <span>

#include "fathom/abi/distributed.h"
#include "fathom/support.h"

namespace fathom::distributed {

enum class Reduce : uint32_t {
  kSum = FATHOM_REDUCE_SUM,
  kMean = FATHOM_REDUCE_MEAN,
  kMin = FATHOM_REDUCE_MIN,
  kMax = FATHOM_REDUCE_MAX
};

namespace detail {
inline std::optional<fathom_distributed_v1> table() {
  return host_extension<fathom_distributed_v1>(FATHOM_DISTRIBUTED_EXTENSION);
}
}  // namespace detail

inline int32_t rank() {
  const auto t = detail::table();
  return t ? t->rank() : 0;
}
inline int32_t world_size() {
  const auto t = detail::table();
  return t ? t->world_size() : 1;
}
inline void barrier() {
  if (const auto t = detail::table()) check(t->barrier());
}
// In place; every process gets the same numbers.
inline void all_reduce(std::span<double> numbers, Reduce op = Reduce::kSum) {
  if (const auto t = detail::table())
    check(t->all_reduce_numbers(numbers.data(), numbers.size(), static_cast<uint32_t>(op)));
}
// `tensor` is an at::Tensor (fathom::borrow), changed in place.
inline void all_reduce(fathom_tensor tensor, Reduce op = Reduce::kSum) {
  if (const auto t = detail::table()) check(t->all_reduce_tensor(tensor, static_cast<uint32_t>(op)));
}

}  // namespace fathom::distributed
