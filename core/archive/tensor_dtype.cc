#include "core/archive/tensor_dtype.h"

#include <array>

namespace fathom::checkpoint {
namespace {

constexpr std::array kDtypes = {
    TensorDtypeInfo{TensorDtype::kBool, "bool", "BoolStorage", "BOOL", 1, 1, false},
    TensorDtypeInfo{TensorDtype::kUInt8, "uint8", "ByteStorage", "U8", 1, 1, false},
    TensorDtypeInfo{TensorDtype::kInt8, "int8", "CharStorage", "I8", 1, 1, false},
    TensorDtypeInfo{TensorDtype::kInt16, "int16", "ShortStorage", "I16", 2, 2, false},
    TensorDtypeInfo{TensorDtype::kInt32, "int32", "IntStorage", "I32", 4, 4, false},
    TensorDtypeInfo{TensorDtype::kInt64, "int64", "LongStorage", "I64", 8, 8, false},
    TensorDtypeInfo{TensorDtype::kFloat16, "float16", "HalfStorage", "F16", 2, 2, true},
    TensorDtypeInfo{TensorDtype::kBFloat16, "bfloat16", "BFloat16Storage", "BF16", 2, 2, true},
    TensorDtypeInfo{TensorDtype::kFloat32, "float32", "FloatStorage", "F32", 4, 4, true},
    TensorDtypeInfo{TensorDtype::kFloat64, "float64", "DoubleStorage", "F64", 8, 8, true},
    TensorDtypeInfo{TensorDtype::kComplex32, "complex32", "", "", 4, 2, true},
    TensorDtypeInfo{TensorDtype::kComplex64, "complex64", "ComplexFloatStorage", "C64", 8, 4, true},
    TensorDtypeInfo{TensorDtype::kComplex128, "complex128", "ComplexDoubleStorage", "", 16, 8, true},
    TensorDtypeInfo{TensorDtype::kUInt16, "uint16", "", "U16", 2, 2, false},
    TensorDtypeInfo{TensorDtype::kUInt32, "uint32", "", "U32", 4, 4, false},
    TensorDtypeInfo{TensorDtype::kUInt64, "uint64", "", "U64", 8, 8, false},
    TensorDtypeInfo{TensorDtype::kFloat8E4M3FN, "float8_e4m3fn", "", "F8_E4M3", 1, 1, true},
    TensorDtypeInfo{TensorDtype::kFloat8E5M2, "float8_e5m2", "", "F8_E5M2", 1, 1, true},
    TensorDtypeInfo{TensorDtype::kFloat8E4M3FNUZ, "float8_e4m3fnuz", "", "", 1, 1, true},
    TensorDtypeInfo{TensorDtype::kFloat8E5M2FNUZ, "float8_e5m2fnuz", "", "", 1, 1, true},
    TensorDtypeInfo{TensorDtype::kFloat8E8M0FNU, "float8_e8m0fnu", "", "F8_E8M0", 1, 1, true},
};

const TensorDtypeInfo* find_by(std::string_view TensorDtypeInfo::*field, std::string_view name) {
  if (name.empty()) return nullptr;
  for (const auto& info : kDtypes) {
    if (info.*field == name) return &info;
  }
  return nullptr;
}

}  // namespace

const TensorDtypeInfo& info_of(TensorDtype dtype) { return kDtypes[static_cast<size_t>(dtype)]; }
const TensorDtypeInfo* find_dtype(std::string_view name) { return find_by(&TensorDtypeInfo::name, name); }
const TensorDtypeInfo* find_dtype_of_storage_class(std::string_view name) {
  return find_by(&TensorDtypeInfo::storage_class, name);
}
const TensorDtypeInfo* find_safetensors_dtype(std::string_view name) {
  return find_by(&TensorDtypeInfo::safetensors, name);
}

}  // namespace fathom::checkpoint
