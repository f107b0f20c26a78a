// "did you mean": the names closest to one that is not known. No state, thread-safe.
#pragma once

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom {

// Levenshtein distance in bytes.
inline size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

// Best first: at most `limit`, none farther than a third of the length of `name` (at least 2).
inline std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& known,
                                              size_t limit = 3) {
  const size_t farthest = std::max<size_t>(2, name.size() / 3);
  std::vector<std::pair<size_t, const std::string*>> ranked;
  for (const auto& candidate : known) {
    const size_t distance = edit_distance(name, candidate);
    if (distance <= farthest) ranked.emplace_back(distance, &candidate);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
  std::vector<std::string> result;
  for (const auto& [distance, candidate] : ranked) {
    if (result.size() == limit) break;
    if (std::find(result.begin(), result.end(), *candidate) == result.end()) result.push_back(*candidate);
  }
  return result;
}

}  // namespace fathom
