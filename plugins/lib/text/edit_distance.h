// Edits between two sequences of words, characters or ids. Header-only, no torch; no state, thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace fathom::text {

// Fewest insertions, deletions and substitutions (Levenshtein). Memory: one row of b.size() + 1 numbers.
template <typename T>
int64_t edit_distance(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<int32_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int32_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int32_t diagonal = row[0];
    row[0] = static_cast<int32_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int32_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

struct EditCounts {
  int64_t insertions = 0, deletions = 0, substitutions = 0;
  int64_t errors() const { return insertions + deletions + substitutions; }
};

// Fewest edits that turn `reference` into `hypothesis`, and of which kind. Where several alignments are equally short,
// the one that, seen from the end, takes an insertion before a deletion before a substitution is counted, as in NeMo.
// Memory: the product of both lengths.
template <typename T>
EditCounts align(const std::vector<T>& reference, const std::vector<T>& hypothesis) {
  const size_t m = reference.size(), n = hypothesis.size(), width = n + 1;
  std::vector<int32_t> d((m + 1) * width);
  for (size_t i = 0; i <= m; ++i) d[i * width] = static_cast<int32_t>(i);
  for (size_t j = 0; j <= n; ++j) d[j] = static_cast<int32_t>(j);
  for (size_t i = 1; i <= m; ++i) {
    for (size_t j = 1; j <= n; ++j) {
      const int32_t same = reference[i - 1] == hypothesis[j - 1] ? 0 : 1;
      d[i * width + j] =
          std::min({d[(i - 1) * width + j] + 1, d[i * width + j - 1] + 1, d[(i - 1) * width + j - 1] + same});
    }
  }

  EditCounts counts;
  size_t i = m, j = n;
  while (i > 0 || j > 0) {
    if (j > 0 && d[i * width + j] == d[i * width + j - 1] + 1) {
      ++counts.insertions;
      --j;
    } else if (i > 0 && d[i * width + j] == d[(i - 1) * width + j] + 1) {
      ++counts.deletions;
      --i;
    } else {
      if (reference[i - 1] != hypothesis[j - 1]) ++counts.substitutions;
      --i;
      --j;
    }
  }
  return counts;
}

}  // namespace fathom::text
