// Small text helpers used in messages: edit distance, nearest names, joining.
// Thread-safe: no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// Levenshtein distance in bytes.
size_t edit_distance(std::string_view a, std::string_view b);

// The names closest to `name`, best first: at most `limit`, none farther than a third of its length (at least 2).
std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& known, size_t limit = 3);

std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

}  // namespace fathom
