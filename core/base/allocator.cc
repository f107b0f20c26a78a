#include "core/base/allocator.h"

#include <malloc.h>

namespace fathom {

void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, 2047 << 20);
}

}  // namespace fathom
