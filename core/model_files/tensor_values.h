// Elements of stored tensors as numbers, without torch. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/archive/tensor_dtype.h"

namespace fathom::model_files {

struct ValueDifference {
  uint64_t elements = 0;  // that differ; NaN equals NaN
  double largest = 0;     // |a - b|; of complex numbers the modulus; inf where one is inf
  bool has_nan = false;   // an element is NaN on one side only
};

// Elements of two dense tensors of `count` elements each, of any two types but a complex and a real one (nothing then).
// Little endian, as the files keep them. 64-bit integers of one type are compared exactly, all else as doubles.
std::optional<ValueDifference> compare_values(checkpoint::TensorDtype a_dtype, std::string_view a,
                                              checkpoint::TensorDtype b_dtype, std::string_view b, uint64_t count);

}  // namespace fathom::model_files
