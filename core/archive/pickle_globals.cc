#include "core/archive/pickle_globals.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace fathom::checkpoint {
namespace {

struct Known {
  std::string_view module, name;
  GlobalRole role;
};

constexpr std::array kKnown = {
    Known{"collections", "OrderedDict", GlobalRole::kOrderedDict},
    Known{"collections", "defaultdict", GlobalRole::kDefaultDict},
    Known{"collections", "Counter", GlobalRole::kCounter},
    Known{"collections", "deque", GlobalRole::kDeque},
    Known{"torch._utils", "_rebuild_tensor", GlobalRole::kRebuildTensor},
    Known{"torch._utils", "_rebuild_tensor_v2", GlobalRole::kRebuildTensorV2},
    Known{"torch._utils", "_rebuild_tensor_v3", GlobalRole::kRebuildTensorV3},
    Known{"torch._utils", "_rebuild_parameter", GlobalRole::kRebuildParameter},
    Known{"torch._utils", "_rebuild_parameter_with_state", GlobalRole::kRebuildParameterWithState},
    Known{"torch._tensor", "_rebuild_from_type_v2", GlobalRole::kRebuildFromType},
    Known{"torch.storage", "UntypedStorage", GlobalRole::kUntypedStorage},
    Known{"torch", "UntypedStorage", GlobalRole::kUntypedStorage},
    Known{"torch", "Tensor", GlobalRole::kTensorClass},
    Known{"torch.nn.parameter", "Parameter", GlobalRole::kTensorClass},
    Known{"torch.nn.parameter", "Buffer", GlobalRole::kTensorClass},
    Known{"torch", "Size", GlobalRole::kSize},
    Known{"torch", "device", GlobalRole::kDevice},
    Known{"torch.serialization", "_get_layout", GlobalRole::kLayout},
    Known{"torch", "contiguous_format", GlobalRole::kBuiltinType},
    Known{"torch", "channels_last", GlobalRole::kBuiltinType},
    Known{"torch", "preserve_format", GlobalRole::kBuiltinType},
    Known{"_codecs", "encode", GlobalRole::kCodecsEncode},
    Known{"_operator", "getitem", GlobalRole::kGetItem},
    Known{"operator", "getitem", GlobalRole::kGetItem},
    Known{"copy_reg", "_reconstructor", GlobalRole::kReconstructor},
    Known{"copyreg", "_reconstructor", GlobalRole::kReconstructor},
    Known{"numpy.core.multiarray", "scalar", GlobalRole::kNumpyScalar},
    Known{"numpy._core.multiarray", "scalar", GlobalRole::kNumpyScalar},
    Known{"numpy", "dtype", GlobalRole::kNumpyDtype},
};

constexpr std::array<std::string_view, 15> kBuiltinTypes = {"list",    "dict",  "tuple",     "set",     "frozenset",
                                                            "int",     "long",  "float",     "bool",    "str",
                                                            "unicode", "bytes", "bytearray", "complex", "slice"};

// Packages whose classes turn up in hyper parameters and callback states.
constexpr std::array<std::string_view, 15> kDataPackages = {
    "omegaconf",    "nemo",  "lightning", "pytorch_lightning", "lightning_fabric", "lightning_utilities",
    "torchmetrics", "hydra", "typing",    "argparse",          "pathlib",          "datetime",
    "decimal",      "uuid",  "fractions"};

std::string_view package_of(std::string_view module) { return module.substr(0, module.find('.')); }

// "Config", "Outer.Inner": what classes are called, and functions are not.
bool looks_like_class(std::string_view name) {
  const size_t dot = name.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
  size_t i = 0;
  while (i < last.size() && last[i] == '_') ++i;
  return i < last.size() && std::isupper(static_cast<unsigned char>(last[i])) != 0;
}

}  // namespace

GlobalMeaning meaning_of_global(std::string_view module, std::string_view name) {
  for (const auto& known : kKnown) {
    if (known.module == module && known.name == name) return {known.role};
  }
  if (module == "torch") {
    if (const auto* dtype = find_dtype(name)) return {GlobalRole::kDtype, dtype->dtype};
    if (const auto* dtype = find_dtype_of_storage_class(name)) return {GlobalRole::kStorageClass, dtype->dtype};
    return {};
  }
  if (module == "__builtin__" || module == "builtins") {
    const bool known = std::find(kBuiltinTypes.begin(), kBuiltinTypes.end(), name) != kBuiltinTypes.end();
    return {known ? GlobalRole::kBuiltinType : GlobalRole::kForbidden};
  }
  const std::string_view package = package_of(module);
  const bool data = std::find(kDataPackages.begin(), kDataPackages.end(), package) != kDataPackages.end();
  // datetime.datetime and friends are classes in lower case
  if (data && (looks_like_class(name) || package == "datetime")) return {GlobalRole::kDataClass};
  if (!data && package != "torch" && looks_like_class(name)) return {GlobalRole::kUnknownClass};
  return {};
}

}  // namespace fathom::checkpoint
