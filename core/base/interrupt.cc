#include "core/base/interrupt.h"

#include <atomic>

namespace fathom {
namespace {
std::atomic<int> requested{0};
static_assert(std::atomic<int>::is_always_lock_free, "read and written from signal handlers");
}  // namespace

void request_interrupt(int signal) { requested.store(signal, std::memory_order_relaxed); }
int interrupt_requested() { return requested.load(std::memory_order_relaxed); }

}  // namespace fathom
