#include "core/base/interrupt.h"

#include <atomic>

namespace fathom {
namespace {
std::atomic<int> requested{0};
std::atomic<bool> save{false};
static_assert(std::atomic<int>::is_always_lock_free, "read and written from signal handlers");
}  // namespace

void request_interrupt(int signal) { requested.store(signal, std::memory_order_relaxed); }
int interrupt_requested() { return requested.load(std::memory_order_relaxed); }
void request_save() { save.store(true, std::memory_order_relaxed); }
bool take_save_request() {
  return save.load(std::memory_order_relaxed) && save.exchange(false, std::memory_order_relaxed);
}

}  // namespace fathom
