// What a pickle may ask for, whatever its opcodes say. Internal to pickle_reader. Errors are kBadData and do not say
// where: the reader adds that. Thread-safe: no state but a budget's own.
#pragma once

#include "core/archive/pickle_value.h"

namespace fathom::checkpoint {

// Bytes that values made from other values, and keys of dicts, may take beyond what they were read from: an opcode of a
// few bytes names a long text, or a long list, again and again. In proportion to the pickle's own size.
class CopyBudget {
 public:
  explicit CopyBudget(uint64_t pickle_bytes);
  void spend(uint64_t bytes);
  void spend(const PickleList& items) { spend(items.size() * sizeof(PickleValue)); }
  // A dict compares its keys by their text.
  void spend_key(const PickleValue& key, size_t depth = 0);

 private:
  uint64_t left_;
};

// An integer in two's complement, little endian. Empty bytes: 0.
constexpr size_t kMaxIntegerBytes = 1024;
PickleValue integer_of(std::string_view bytes);

// Bytes of a storage of so many elements, far below what 64 bits hold.
uint64_t storage_bytes(int64_t count, TensorDtype dtype);

// The numbers of a shape or of strides: at most 64, none negative.
std::vector<int64_t> bounded_shape(const PickleValue& value);

// Throws unless every element of the tensor lies in its storage, and nothing overflows on the way.
void check_tensor_bounds(const PickleTensor& tensor);

}  // namespace fathom::checkpoint
