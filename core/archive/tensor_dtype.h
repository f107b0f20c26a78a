// Element types of stored tensors, with the names the file formats give them. Knows no torch.
// Thread-safe: constant tables.
#pragma once

#include <cstdint>
#include <string_view>

namespace fathom::checkpoint {

enum class TensorDtype : uint8_t {
  kBool,
  kUInt8,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
  kComplex32,
  kComplex64,
  kComplex128,
  kUInt16,
  kUInt32,
  kUInt64,
  kFloat8E4M3FN,
  kFloat8E5M2,
  kFloat8E4M3FNUZ,
  kFloat8E5M2FNUZ,
  kFloat8E8M0FNU,
};

struct TensorDtypeInfo {
  TensorDtype dtype;
  std::string_view name;           // PyTorch's: "float32" in torch.float32
  std::string_view storage_class;  // "FloatStorage"; "" where PyTorch has none and writes an UntypedStorage
  std::string_view safetensors;    // "F32"; "" where the format has none
  uint8_t size;                    // bytes of one element
  uint8_t swap_unit;               // bytes that change order between little and big endian
  bool floating;                   // may hold a gradient
};

const TensorDtypeInfo& info_of(TensorDtype dtype);
// Null when no element type has that name.
const TensorDtypeInfo* find_dtype(std::string_view name);
const TensorDtypeInfo* find_dtype_of_storage_class(std::string_view storage_class);
const TensorDtypeInfo* find_safetensors_dtype(std::string_view name);

}  // namespace fathom::checkpoint
