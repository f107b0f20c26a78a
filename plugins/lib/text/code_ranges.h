// How the generated tables of Unicode are read: ranges of code points in order.
#pragma once

#include <algorithm>
#include <cstddef>

namespace fathom::text {

struct CodeRange {
  char32_t first, last;
};

// The range that holds `c`, of ranges in order; null: none does.
template <typename Range, size_t N>
const Range* range_of(const Range (&ranges)[N], char32_t c) {
  const Range* const after =
      std::upper_bound(ranges, ranges + N, c, [](char32_t code, const Range& r) { return code < r.first; });
  return after != ranges && c <= (after - 1)->last ? after - 1 : nullptr;
}

}  // namespace fathom::text
