#include "core/models/tensor_files.h"

#include <ATen/ops/empty.h>

#include <charconv>
#include <cstring>
#include <map>

#include "core/archive/mapped_file.h"
#include "core/base/text.h"

namespace fathom {
namespace {

using checkpoint::NamedTensors;
using checkpoint::PickleValue;

void add_tensors(const PickleValue& value, const std::string& name, const std::string& path, NamedTensors& out) {
  const auto below = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
  if (value.is_tensor()) {
    out.emplace_back(name, checkpoint::to_tensor(value));
  } else if (value.is_dict()) {
    for (const auto& [key, item] : value.as_dict()) {
      if (!key.is_string()) {
        throw Error(Code::kBadData, "a dict of tensors has a key that is no text")
            .at(path)
            .seen(std::string(key.kind_name()));
      }
      add_tensors(item, below(key.as_string()), path, out);
    }
  } else if (value.is_sequence()) {
    for (size_t i = 0; i < value.items().size(); ++i)
      add_tensors(value.items()[i], below(std::to_string(i)), path, out);
  } else {
    throw Error(Code::kBadData, "the file holds something else than tensors")
        .at(path)
        .seen((name.empty() ? "" : "'" + name + "' is a ") + std::string(value.kind_name()))
        .expected("a tensor, or lists and dicts of tensors");
  }
}

// The value of a key in the header's dict, such as {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
std::string header_value(const std::string& header, const std::string& key, const std::string& path) {
  const size_t at = header.find("'" + key + "'");
  const size_t colon = at == std::string::npos ? at : header.find(':', at);
  if (colon == std::string::npos) {
    throw Error(Code::kBadData, "the header of a numpy file is damaged").at(path).seen(header.substr(0, 80));
  }
  const size_t from = header.find_first_not_of(' ', colon + 1);
  if (from == std::string::npos) return "";
  const size_t to = header[from] == '(' ? header.find(')', from) : header.find_first_of(",}", from);
  return to == std::string::npos ? "" : header.substr(from, to - from);
}

// numpy/lib/format.py: "\x93NUMPY", version, length of the header, the header, the elements.
at::Tensor load_numpy(std::string_view bytes, const std::string& path) {
  const auto damaged = [&](const std::string& seen) {
    return Error(Code::kBadData, "the numpy file cannot be read")
        .at(path)
        .seen(seen)
        .expected("a little-endian array of numbers in C order, as numpy.save writes it");
  };
  if (bytes.size() < 12) throw damaged(std::to_string(bytes.size()) + " bytes");
  const size_t length_size = bytes[6] >= 2 ? 4 : 2;
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, length_size);
  const size_t begin = 8 + length_size;
  if (length > bytes.size() - begin) throw damaged("a header of " + std::to_string(length) + " bytes");
  const std::string header(bytes.substr(begin, length));
  static const std::map<std::string, at::ScalarType> kTypes = {
      {"'<f4'", at::kFloat}, {"'<f8'", at::kDouble}, {"'<f2'", at::kHalf}, {"'<i8'", at::kLong}, {"'<i4'", at::kInt},
      {"'<i2'", at::kShort}, {"'|i1'", at::kChar},   {"'|u1'", at::kByte}, {"'|b1'", at::kBool}};
  const auto type = kTypes.find(header_value(header, "descr", path));
  if (type == kTypes.end()) throw damaged("elements of type " + header_value(header, "descr", path));
  std::vector<int64_t> sizes;
  const std::string shape = header_value(header, "shape", path);
  uint64_t count = 1;
  for (const char* at = shape.data(); at < shape.data() + shape.size();) {
    int64_t size = 0;
    const auto [end, error] = std::from_chars(at, shape.data() + shape.size(), size);
    if (error != std::errc()) {
      ++at;
      continue;
    }
    if (size < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(size), &count)) throw damaged("shape " + shape);
    sizes.push_back(size);
    at = end;
  }
  if (sizes.size() > 1 && header_value(header, "fortran_order", path) != "False") throw damaged("Fortran's order");
  const std::string_view data = bytes.substr(begin + length);
  const auto width = static_cast<uint64_t>(c10::elementSize(type->second));
  if (count > data.size() / width || count * width != data.size())
    throw damaged(std::to_string(data.size()) + " bytes of elements for a shape of " + shape + ")");
  at::Tensor tensor = at::empty(sizes, type->second);
  std::memcpy(tensor.mutable_data_ptr(), data.data(), data.size());
  return tensor;
}

}  // namespace

NamedTensors load_tensor_file(const std::string& path) {
  const auto file = checkpoint::MappedFile::open(path);
  const std::string_view bytes = file->bytes();
  if (bytes.starts_with("\x93NUMPY")) return {{"", load_numpy(bytes, path)}};
  // A zip, a pickle; all else must be safetensors. Those begin with the length of their header, whose first bytes may
  // be those of the others, and then the header, a JSON object.
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof header));
  const bool has_header = bytes.size() > 8 && header <= bytes.size() - 8 && bytes[8] == '{';
  if (!has_header && (bytes.starts_with("PK") || bytes.starts_with("\x80"))) {
    NamedTensors out;
    add_tensors(checkpoint::load_torch_file(path), "", path, out);
    return out;
  }
  return checkpoint::load_safetensors(path);
}

}  // namespace fathom
