#include "core/models/allocation_limit.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>

#include "fathom/error.h"

namespace fathom {

struct AllocationLimit::State {
  explicit State(uint64_t bytes) : left(static_cast<int64_t>(std::min<uint64_t>(bytes, INT64_MAX / 2))) {}

  void take(int64_t bytes) {
    if (left.fetch_sub(bytes) >= bytes) return;
    left += bytes;
    reached = true;
    throw Error(Code::kBadData, "the tensors would take more memory than is allowed here")
        .seen(std::to_string(bytes) + " bytes more")
        .expected("at most " + std::to_string(left.load()));
  }

  std::atomic<int64_t> left;  // tensors may be freed by another thread
  std::atomic<bool> reached = false;
};

namespace {

// Torch's own allocator, asked to count by the threads that have a limit. Storages keep a pointer to the allocator that
// made them, so that it is never destroyed.
class CountingAllocator final : public c10::Allocator {
 public:
  static CountingAllocator& get() {
    static auto* const allocator = new CountingAllocator();
    return *allocator;
  }
  // It is torch's allocator while anyone counts.
  void enter() {
    const std::lock_guard lock(mutex_);
    if (users_++ > 0) return;
    inner_ = c10::GetAllocator(c10::kCPU);
    c10::SetAllocator(c10::kCPU, this, kPriority);
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--users_ == 0) c10::SetAllocator(c10::kCPU, inner_, kPriority);
  }

  c10::DataPtr allocate(size_t size) override;
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t count) const override { default_copy_data(to, from, count); }

 private:
  static constexpr uint8_t kPriority = UINT8_MAX;  // never refused
  std::mutex mutex_;
  int users_ = 0;
  c10::Allocator* inner_ = c10::GetAllocator(c10::kCPU);
};

thread_local std::shared_ptr<AllocationLimit::State> current;

c10::DataPtr CountingAllocator::allocate(size_t size) {
  const std::shared_ptr<AllocationLimit::State> state = current;
  if (!state) return inner_->allocate(size);
  const auto charge = static_cast<int64_t>(std::clamp<uint64_t>(size, AllocationLimit::kLeastCharge, INT64_MAX / 2));
  state->take(charge);
  try {
    auto held = std::make_shared<c10::DataPtr>(inner_->allocate(size));
    void* const data = held->get();
    const c10::Device device = held->device();
    return c10::InefficientStdFunctionContext::makeDataPtr(
        data, [held, state, charge](void*) { state->left += charge; }, device);
  } catch (...) {
    state->left += charge;
    throw;
  }
}

}  // namespace

AllocationLimit::AllocationLimit(uint64_t bytes) : state_(std::make_shared<State>(bytes)), outer_(current) {
  CountingAllocator::get().enter();
  current = state_;
}

AllocationLimit::~AllocationLimit() {
  current = outer_;
  CountingAllocator::get().leave();
}

bool AllocationLimit::was_reached() const { return state_->reached; }

}  // namespace fathom
