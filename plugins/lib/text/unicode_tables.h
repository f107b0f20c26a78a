// Tables behind unicode.h, sorted by code point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace fathom::text::unicode_tables {

struct Range {
  uint32_t first, last;
};
struct ClassRange {
  uint32_t first, last;
  uint8_t value;
};
struct Decomposition {
  uint32_t character, first, second;  // second 0: a single one
};
struct Shift {
  uint32_t first, last;
  uint32_t step;
  int32_t distance;
};

extern const Range kPunctuation[], kControl[], kMarks[], kSpaces[], kNotComposed[];
extern const ClassRange kClasses[];
extern const Decomposition kDecompositions[];
extern const Shift kLower[];
extern const size_t kPunctuationCount, kControlCount, kMarksCount, kSpacesCount, kNotComposedCount, kClassesCount,
    kDecompositionsCount, kLowerCount;

}  // namespace fathom::text::unicode_tables
