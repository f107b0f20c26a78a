// A bound on the memory that torch's tensors take. A model is made as its config says, and a config out of a stranger's
// file may ask for a thousand million layers: whatever option of whatever module multiplies, what it makes is tensors.
#pragma once

#include <cstdint>
#include <memory>

namespace fathom {

// While one lives, this thread's tensors on the CPU may take `bytes` beyond what there was before. Each tensor counts
// for kLeastCharge at least, as the module around it takes memory and time too. The one that would go beyond is not
// made: Error(kBadData). Only the innermost one of a thread counts.
class AllocationLimit {
 public:
  struct State;  // counts; lives as long as the last tensor that it counted
  static constexpr uint64_t kLeastCharge = 2048;

  explicit AllocationLimit(uint64_t bytes);
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;

  bool was_reached() const;

 private:
  std::shared_ptr<State> state_, outer_;
};

}  // namespace fathom
