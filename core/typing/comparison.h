// The result of comparing two neural types, with NeMo's names and numbers (NeuralTypeComparisonResult).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fathom::typing {

enum class Comparison : uint8_t {
  kSame = 0,
  kLess = 1,     // the declared type is a special case of the value's
  kGreater = 2,  // the value's type is a special case of the declared one
  kDimIncompatible = 3,
  kTransposeSame = 4,
  kContainerSizeMismatch = 5,  // not produced by a comparison; kept for its number
  kIncompatible = 6,
  kSameTypeIncompatibleParams = 7,
  kUnchecked = 8,  // no comparison was made
};

inline constexpr std::array<std::string_view, 9> kComparisonNames = {"SAME",           "LESS",
                                                                     "GREATER",        "DIM_INCOMPATIBLE",
                                                                     "TRANSPOSE_SAME", "CONTAINER_SIZE_MISMATCH",
                                                                     "INCOMPATIBLE",   "SAME_TYPE_INCOMPATIBLE_PARAMS",
                                                                     "UNCHECKED"};

constexpr std::string_view comparison_name(Comparison result) { return kComparisonNames[static_cast<size_t>(result)]; }

// Whether a typed call lets the value in.
constexpr bool accepted(Comparison result) { return result == Comparison::kSame || result == Comparison::kGreater; }

}  // namespace fathom::typing
