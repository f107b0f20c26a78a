// torch.save files with at::Tensors: the tensors of a PickleValue to and from ATen.
//
//   PickleValue checkpoint = load_torch_file("model.ckpt");
//   at::Tensor weight = to_tensor(checkpoint.at("state_dict").at("encoder.weight"));
//
//   PickleValue state = PickleValue::ordered_dict();
//   state.mutable_dict().set("weight", from_tensor(weight));
//   save_torch_file("weights.ckpt", state);
//
// dtypes: all of tensor_dtype.h. Views stay views: tensors that share a storage in the file share it after loading, and
// the other way round. Tensors of other devices are copied to the CPU when they are saved.
// Thread-safe for different values; loading does not depend on gradient mode, results never require gradients unless
// the file says so.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/archive/pickle_file.h"
#include "core/base/file.h"

namespace fathom::checkpoint {

// Reads a file of torch.save; see pickle_file.h for what is refused. The storages are copied into memory of torch's
// allocator (aligned, writable), so nothing depends on the file afterwards.
PickleValue load_torch_file(const std::string& path, const PickleFileOptions& options = {});
// The same from memory, which may go away afterwards. `source` names it in errors.
PickleValue load_torch_bytes(std::string_view bytes, const std::string& source, const PickleFileOptions& options = {});

// The same without a copy, for what is copied elsewhere at once: tensors look into the mapped file, and take memory
// only while they live. Whoever cuts the file short meanwhile ends the process: keep none of them.
PickleValue map_torch_file(const std::string& path, const PickleFileOptions& options = {});
PickleValue map_torch_bytes(std::string_view bytes, std::shared_ptr<const MappedFile> owner, const std::string& source,
                            const PickleFileOptions& options = {});

// A tensor over the value's storage: no copy once the storage lies in torch's memory, or in a mapped file.
// Error(kBadData) when the value is no tensor, or of an element type this libtorch does not have.
at::Tensor to_tensor(const PickleValue& value);
at::Tensor to_tensor(const PickleTensor& tensor);

// Shares the tensor's storage when it lies on the CPU. Error(kUsage) for undefined, sparse and quantized tensors.
// `parameter`: store it as torch.nn.Parameter.
PickleValue from_tensor(const at::Tensor& tensor, bool parameter = false);

// The tensors below `value` get memory of their own, those that shared it still do: what happens to the tensors that
// they were made from is no longer seen. `value` must be its maker's alone.
void own_tensors(PickleValue& value);

// Writes in place of `path` in one step, as torch.load(weights_only=True) reads it. `root` is the folder inside the
// zip: torch.save(x, "name.ext") writes "name", Lightning "archive".
void save_torch_file(const std::string& path, const PickleValue& value, const std::string& root = "archive");

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// A state_dict: OrderedDict of name -> tensor, detached, with `_metadata` if given.
PickleValue state_dict_value(const NamedTensors& tensors, const PickleValue& metadata = {});
// Every tensor of a dict, in order. Error(kBadData) when it is no dict of tensors.
NamedTensors state_dict_tensors(const PickleValue& state_dict);

// safetensors.h with at::Tensors; loaded tensors own their memory, saved ones are made contiguous.
NamedTensors load_safetensors(const std::string& path);
void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace fathom::checkpoint
