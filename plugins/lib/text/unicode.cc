#include "plugins/lib/text/unicode.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>

#include "fathom/utf8.h"
#include "plugins/lib/text/code_ranges.h"

namespace fathom::text {
namespace {

struct ClassRange {
  uint32_t first, last;
  uint8_t value;
};
struct Decomposition {
  uint32_t character, first, second;  // second 0: a single one
};
#include "plugins/lib/text/normalization_tables.inc"

// Hangul syllables are composed by rule (The Unicode Standard, 3.12).
constexpr char32_t kFirstHangul = 0xac00, kFirstLead = 0x1100, kFirstVowel = 0x1161, kFirstTail = 0x11a7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTailCount = 28,
                   kHangulCount = kLeadCount * kVowelCount * kTailCount;

uint8_t combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const auto* entry = range_of(kClasses, c);
  return entry == nullptr ? 0 : entry->value;
}

void decompose(char32_t c, CodePoints& out) {
  if (c < 0xc0) return out.push_back(c);
  if (c >= kFirstHangul && c < kFirstHangul + kHangulCount) {
    const char32_t index = c - kFirstHangul;
    out.push_back(kFirstLead + index / (kVowelCount * kTailCount));
    out.push_back(kFirstVowel + index % (kVowelCount * kTailCount) / kTailCount);
    if (index % kTailCount != 0) out.push_back(kFirstTail + index % kTailCount);
    return;
  }
  const auto* end = std::end(kDecompositions);
  const auto* found = std::lower_bound(std::begin(kDecompositions), end, c,
                                       [](const auto& e, char32_t value) { return e.character < value; });
  if (found == end || found->character != c) return out.push_back(c);
  decompose(found->first, out);  // a few steps at most: the table has no loops
  if (found->second != 0) decompose(found->second, out);
}

// What two characters make together, or 0.
char32_t composed(char32_t a, char32_t b) {
  if (a >= kFirstLead && a < kFirstLead + kLeadCount && b >= kFirstVowel && b < kFirstVowel + kVowelCount)
    return kFirstHangul + ((a - kFirstLead) * kVowelCount + (b - kFirstVowel)) * kTailCount;
  if (a >= kFirstHangul && a < kFirstHangul + kHangulCount && (a - kFirstHangul) % kTailCount == 0 && b > kFirstTail &&
      b < kFirstTail + kTailCount) {
    return a + (b - kFirstTail);
  }
  static const std::map<std::pair<char32_t, char32_t>, char32_t> pairs = [] {
    std::map<std::pair<char32_t, char32_t>, char32_t> made;
    for (const auto& d : kDecompositions) {
      if (d.second != 0 && range_of(kNotComposed, d.character) == nullptr) made[{d.first, d.second}] = d.character;
    }
    return made;
  }();
  const auto found = pairs.find({a, b});
  return found == pairs.end() ? 0 : found->second;
}

bool is_plain(const CodePoints& text) {
  return std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0xc0; });
}

}  // namespace

bool is_control(char32_t c) { return range_of(kControl, c) != nullptr; }
bool is_space_separator(char32_t c) { return range_of(kSpaces, c) != nullptr; }
bool is_nonspacing_mark(char32_t c) { return range_of(kMarks, c) != nullptr; }

CodePoints to_nfd(const CodePoints& text) {
  if (is_plain(text)) return text;
  CodePoints out;
  for (const char32_t c : text) decompose(c, out);
  // Marks behind one character stand in the order of their classes.
  for (size_t start = 0; start < out.size();) {
    if (combining_class(out[start]) == 0) {
      ++start;
      continue;
    }
    size_t end = start;
    while (end < out.size() && combining_class(out[end]) != 0) ++end;
    std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(start), out.begin() + static_cast<std::ptrdiff_t>(end),
                     [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    start = end;
  }
  return out;
}

CodePoints to_nfc(const CodePoints& text) {
  if (is_plain(text)) return text;
  CodePoints out;
  constexpr size_t kNone = SIZE_MAX;
  size_t starter = kNone;
  int last_class = 0;  // of what stands between the starter and the next character
  for (const char32_t c : to_nfd(text)) {
    const int its_class = combining_class(c);
    const bool adjacent = starter != kNone && starter + 1 == out.size();
    const bool blocked = !adjacent && last_class >= its_class;
    if (starter != kNone && !blocked) {
      if (const char32_t both = composed(out[starter], c); both != 0) {
        out[starter] = both;
        continue;
      }
    }
    if (its_class == 0) starter = out.size();
    last_class = its_class;
    out.push_back(c);
  }
  return out;
}

std::string to_utf8(const CodePoints& text) {
  std::string out;
  for (const char32_t c : text) utf8::append(out, c);
  return out;
}

}  // namespace fathom::text
