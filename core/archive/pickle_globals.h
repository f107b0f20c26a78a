// Which value a global name of a pickle stands for. Internal to pickle_reader.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/archive/tensor_dtype.h"

namespace fathom::checkpoint {

enum class GlobalRole : uint8_t {
  kForbidden,
  kUnknownClass,  // looks like a class, of a module we do not know
  kDataClass,     // a class of a module whose objects are data
  kBuiltinType,   // list, dict, int, …
  kOrderedDict,
  kDefaultDict,
  kCounter,
  kDeque,
  kRebuildTensor,
  kRebuildTensorV2,
  kRebuildTensorV3,
  kRebuildParameter,
  kRebuildParameterWithState,
  kRebuildFromType,
  kStorageClass,
  kUntypedStorage,
  kTensorClass,
  kSize,
  kDevice,
  kDtype,
  kLayout,
  kCodecsEncode,
  kGetItem,
  kReconstructor,
  kNumpyScalar,
  kNumpyDtype,
};

struct GlobalMeaning {
  GlobalRole role = GlobalRole::kForbidden;
  TensorDtype dtype = TensorDtype::kUInt8;  // of kDtype and kStorageClass
};

GlobalMeaning meaning_of_global(std::string_view module, std::string_view name);

}  // namespace fathom::checkpoint
