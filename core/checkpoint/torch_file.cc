#include "core/checkpoint/torch_file.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/Storage.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "core/archive/mapped_file.h"
#include "core/archive/safetensors.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

struct DtypePair {
  TensorDtype ours;
  at::ScalarType torch;
};

constexpr DtypePair kDtypes[] = {
    {TensorDtype::kBool, at::kBool},
    {TensorDtype::kUInt8, at::kByte},
    {TensorDtype::kInt8, at::kChar},
    {TensorDtype::kInt16, at::kShort},
    {TensorDtype::kInt32, at::kInt},
    {TensorDtype::kInt64, at::kLong},
    {TensorDtype::kFloat16, at::kHalf},
    {TensorDtype::kBFloat16, at::kBFloat16},
    {TensorDtype::kFloat32, at::kFloat},
    {TensorDtype::kFloat64, at::kDouble},
    {TensorDtype::kComplex32, at::kComplexHalf},
    {TensorDtype::kComplex64, at::kComplexFloat},
    {TensorDtype::kComplex128, at::kComplexDouble},
    {TensorDtype::kUInt16, at::kUInt16},
    {TensorDtype::kUInt32, at::kUInt32},
    {TensorDtype::kUInt64, at::kUInt64},
    {TensorDtype::kFloat8E4M3FN, at::kFloat8_e4m3fn},
    {TensorDtype::kFloat8E5M2, at::kFloat8_e5m2},
    {TensorDtype::kFloat8E4M3FNUZ, at::kFloat8_e4m3fnuz},
    {TensorDtype::kFloat8E5M2FNUZ, at::kFloat8_e5m2fnuz},
    {TensorDtype::kFloat8E8M0FNU, at::kFloat8_e8m0fnu},
};

at::ScalarType torch_dtype(TensorDtype dtype) {
  for (const auto& pair : kDtypes) {
    if (pair.ours == dtype) return pair.torch;
  }
  throw Error(Code::kInternal, "an element type without a counterpart in ATen").seen(std::string(info_of(dtype).name));
}

constexpr uintptr_t kAlignment = 16;  // of the largest element

// What keeps the file while tensors look into it.
struct MappedStorage {
  std::shared_ptr<const MappedFile> file;
  std::string_view bytes;
};

// The storage over the file's own bytes: one, as long as any tensor uses it.
c10::Storage mapped_storage(PickleStorage& storage) {
  using Weak = c10::weak_intrusive_ptr<c10::StorageImpl>;
  if (storage.torch_storage) {
    if (auto known = static_cast<Weak*>(storage.torch_storage.get())->lock()) return c10::Storage(std::move(known));
  }
  auto* const data = const_cast<char*>(storage.bytes.data());  // the mapping is private
  auto* const held = new MappedStorage{storage.mapped, storage.bytes};
  c10::DataPtr pointer(
      data, held,
      [](void* context) {
        const std::unique_ptr<MappedStorage> mapped(static_cast<MappedStorage*>(context));
        mapped->file->release(mapped->bytes);
      },
      c10::kCPU);
  c10::Storage made(c10::Storage::use_byte_size_t(), storage.size, std::move(pointer), nullptr, /*resizable=*/false);
  storage.torch_storage = std::make_shared<Weak>(made.getWeakStorageImpl());
  return made;
}

// Copies the storage's bytes into memory of torch's own allocator.
void adopt(PickleStorage& storage) {
  auto data = c10::GetCPUAllocator()->allocate(storage.size);
  const void* const source = storage.bytes.data();
  if (storage.size != 0) std::memcpy(data.get(), source, storage.size);
  auto held = std::make_shared<c10::Storage>(c10::Storage::use_byte_size_t(), storage.size, std::move(data),
                                             c10::GetCPUAllocator(), /*resizable=*/true);
  storage.bytes = {static_cast<const char*>(held->data()), storage.size};
  if (storage.mapped) storage.mapped->release({static_cast<const char*>(source), storage.size});
  storage.mapped = nullptr;
  storage.owner = held;
  storage.torch_storage = std::move(held);
}

c10::Storage torch_storage(PickleStorage& storage) {
  const bool is_aligned = reinterpret_cast<uintptr_t>(storage.bytes.data()) % kAlignment == 0;
  if (storage.mapped && storage.size > 0 && is_aligned) return mapped_storage(storage);
  if (!storage.torch_storage || storage.mapped) {
    if (storage.bytes.size() != storage.size) throw Error(Code::kInternal, "a tensor's storage is not loaded");
    adopt(storage);
  }
  return *static_cast<const c10::Storage*>(storage.torch_storage.get());
}

PickleValue with_tensors(PickleFile file) {
  for (const auto& storage : file.storages) adopt(*storage);
  return std::move(file.value);
}

}  // namespace

PickleValue load_torch_file(const std::string& path, const PickleFileOptions& options) {
  return with_tensors(read_pickle_file(path, options));
}

PickleValue load_torch_bytes(std::string_view bytes, const std::string& source, const PickleFileOptions& options) {
  return with_tensors(read_pickle_bytes(bytes, nullptr, source, options));
}

PickleValue map_torch_file(const std::string& path, const PickleFileOptions& options) {
  return read_pickle_file(path, options).value;
}

PickleValue map_torch_bytes(std::string_view bytes, std::shared_ptr<const MappedFile> owner, const std::string& source,
                            const PickleFileOptions& options) {
  return read_pickle_bytes(bytes, std::move(owner), source, options).value;
}

at::Tensor to_tensor(const PickleValue& value) { return to_tensor(value.as_tensor()); }

at::Tensor to_tensor(const PickleTensor& tensor) {
  const c10::Storage held = torch_storage(*tensor.storage);
  at::NoGradGuard no_grad;
  at::Tensor out = at::empty({0}, at::TensorOptions().dtype(torch_dtype(tensor.dtype)));
  out.set_(held, tensor.offset, tensor.sizes, tensor.strides);
  if (tensor.requires_grad) out.set_requires_grad(true);
  return out;
}

PickleValue from_tensor(const at::Tensor& tensor, bool parameter) {
  if (!tensor.defined()) throw Error(Code::kUsage, "an undefined tensor cannot be saved");
  if (tensor.layout() != at::kStrided || tensor.is_quantized()) {
    throw Error(Code::kUsage, "only dense tensors can be saved").seen(tensor.toString());
  }
  at::Tensor plain = tensor.detach();
  if (!plain.device().is_cpu()) plain = plain.cpu();
  if (plain.is_conj() || plain.is_neg()) plain = plain.resolve_conj().resolve_neg();
  PickleTensor out;
  bool known = false;
  for (const auto& pair : kDtypes) {
    if (pair.torch != plain.scalar_type()) continue;
    out.dtype = pair.ours;
    known = true;
  }
  if (!known) throw Error(Code::kUsage, "a tensor of this dtype cannot be saved").seen(tensor.toString());
  out.storage = std::make_shared<PickleStorage>();
  auto held = std::make_shared<c10::Storage>(plain.storage());
  out.storage->dtype = out.dtype;
  out.storage->size = held->nbytes();
  out.storage->bytes = {static_cast<const char*>(held->data()), held->nbytes()};
  out.storage->owner = held;
  out.storage->torch_storage = std::move(held);
  out.offset = plain.storage_offset();
  out.sizes = plain.sizes().vec();
  out.strides = plain.strides().vec();
  out.requires_grad = tensor.requires_grad();
  out.is_parameter = parameter;
  return PickleValue(std::move(out));
}

namespace {

using OwnedStorages = std::unordered_map<const void*, std::shared_ptr<PickleStorage>>;

void own_tensors_below(PickleValue& value, OwnedStorages& owned) {
  switch (value.kind()) {
    case PickleValue::Kind::kTensor: {
      auto& storage = value.mutable_tensor().storage;
      if (storage->bytes.empty()) return;
      std::shared_ptr<PickleStorage>& copy = owned[storage->bytes.data()];
      if (!copy) {
        copy = std::make_shared<PickleStorage>(*storage);
        adopt(*copy);
      }
      storage = copy;
      return;
    }
    case PickleValue::Kind::kList:
    case PickleValue::Kind::kTuple:
    case PickleValue::Kind::kSet:
      for (PickleValue& item : value.mutable_items()) own_tensors_below(item, owned);
      return;
    case PickleValue::Kind::kDict:
      for (const auto& entry : value.as_dict().entries()) {
        PickleValue held = entry.second;  // a handle: what it holds is the dict's
        own_tensors_below(held, owned);
      }
      return;
    default: return;
  }
}

}  // namespace

void own_tensors(PickleValue& value) {
  OwnedStorages owned;
  own_tensors_below(value, owned);
}

void save_torch_file(const std::string& path, const PickleValue& value, const std::string& root) {
  const PickleFileWriter file(value, root);
  write_file_atomically(path, [&](FileWriter& writer) { file.write(writer); });
}

PickleValue state_dict_value(const NamedTensors& tensors, const PickleValue& metadata) {
  PickleValue out = PickleValue::ordered_dict();
  for (const auto& [name, tensor] : tensors) out.mutable_dict().set(name, from_tensor(tensor.detach()));
  if (!metadata.is_none()) {
    out.mutable_dict().attributes = PickleValue::dict();
    out.mutable_dict().attributes.mutable_dict().set("_metadata", metadata);
  }
  return out;
}

NamedTensors state_dict_tensors(const PickleValue& state_dict) {
  NamedTensors out;
  for (const auto& [name, value] : state_dict.plain().as_dict()) {
    if (!value.is_tensor()) {
      throw Error(Code::kBadData, "a state_dict holds something that is no tensor")
          .at(name.is_string() ? name.as_string() : std::string(name.kind_name()))
          .seen(std::string(value.kind_name()));
    }
    out.emplace_back(name.as_string(), to_tensor(value));
  }
  return out;
}

NamedTensors load_safetensors(const std::string& path) {
  NamedTensors out;
  const SafetensorsFile file = read_safetensors(path);
  for (const auto& [name, tensor] : file.tensors) {
    adopt(*tensor.storage);
    out.emplace_back(name, to_tensor(tensor));
  }
  return out;
}

void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata) {
  SafetensorsFile file;
  for (const auto& [name, tensor] : tensors) {
    file.tensors.emplace_back(name, from_tensor(tensor.detach().contiguous()).as_tensor());
  }
  file.metadata = metadata;
  write_safetensors(path, file);
}

}  // namespace fathom::checkpoint
