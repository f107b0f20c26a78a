#include "core/inference/word_errors.h"

#include <algorithm>
#include <numeric>
#include <sstream>
#include <string_view>
#include <vector>

namespace fathom {
namespace {

template <typename Unit>
int64_t edits(const std::vector<Unit>& a, const std::vector<Unit>& b) {
  std::vector<int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), int64_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> out;
  for (std::string word; stream >> word;) out.push_back(word);
  return out;
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    out.push_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

template <typename Units>
EditCounts count(const Units& reference, const Units& hypothesis) {
  return {edits(reference, hypothesis), static_cast<int64_t>(reference.size())};
}

}  // namespace

EditCounts word_errors(const std::string& reference, const std::string& hypothesis) {
  return count(words(reference), words(hypothesis));
}
EditCounts character_errors(const std::string& reference, const std::string& hypothesis) {
  return count(characters(reference), characters(hypothesis));
}

}  // namespace fathom
