#include "core/archive/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <unordered_set>

#include "core/archive/mapped_file.h"
#include "core/base/text.h"
#include "fathom/error.h"
#include "fathom/json.h"
#include "fathom/utf8.h"

namespace fathom::checkpoint {
namespace {

constexpr uint64_t kMaxHeader = 100 << 20;  // the format's own limit
constexpr std::string_view kMetadata = "__metadata__";

[[noreturn]] void fail(const std::string& path, const std::string& what, const std::string& seen = {}) {
  throw Error(Code::kBadData, "not a readable safetensors file: " + what)
      .at(path)
      .seen(seen)
      .next("the file is damaged or of another kind; take another copy of it");
}

uint64_t unsigned_number(const nlohmann::json& value, const std::string& path, const std::string& name) {
  if (!value.is_number_unsigned()) fail(path, "a number of its header is none", name);
  return value.get<uint64_t>();
}

// Sees a header pass by before it is parsed: how deep it is nested, and a name that stands twice, of which a parser
// would keep the last. (A parser that asks a function for each value looks through all values again and again.)
class HeaderCheck final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= kDeepest; }
  bool end_object() override { return depth_-- > 0; }
  bool start_array(std::size_t) override { return ++depth_ <= kDeepest; }
  bool end_array() override { return depth_-- > 0; }
  bool key(string_t& name) override {
    if (depth_ != 1 || names_.insert(name).second) return true;
    repeated = name;
    return false;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

  std::string repeated;

 private:
  static constexpr int kDeepest = 8;
  int depth_ = 0;
  std::unordered_set<std::string> names_;
};

// Not as ordered_json, which looks through all its keys for each new one; the order is that of the data.
nlohmann::json parse_header(std::string_view text, const std::string& path) {
  HeaderCheck check;
  if (!text.starts_with('{') || !nlohmann::json::sax_parse(text, &check)) {
    if (!check.repeated.empty()) fail(path, "two tensors have one name", check.repeated);
    fail(path, "its header is no JSON object");
  }
  return nlohmann::json::parse(text);
}

}  // namespace

const PickleTensor* SafetensorsFile::find(std::string_view name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

SafetensorsFile read_safetensors(const std::string& path) {
  const auto mapped = MappedFile::open(path);
  const std::string_view file = mapped->bytes();
  if (file.size() < 8) fail(path, "it is shorter than its header");
  uint64_t header_size = 0;
  std::memcpy(&header_size, file.data(), sizeof header_size);
  if (header_size > kMaxHeader || header_size > file.size() - 8) {
    fail(path, "it is shorter than its header", fmt::format("{} bytes", header_size));
  }
  const std::string_view data = file.substr(8 + header_size);
  const auto header = parse_header(file.substr(8, header_size), path);

  SafetensorsFile out;
  std::vector<std::pair<uint64_t, uint64_t>> spans;
  for (const auto& [name, entry] : header.items()) {
    if (!entry.is_object()) fail(path, "an entry of its header is no object", name);
    if (name == kMetadata) {
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) fail(path, "its metadata holds something that is no text", key);
        out.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    const auto dtype = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
    if (dtype == entry.end() || !dtype->is_string() || shape == entry.end() || !shape->is_array() ||
        offsets == entry.end() || !offsets->is_array() || offsets->size() != 2) {
      fail(path, "an entry of its header is incomplete", name);
    }
    const TensorDtypeInfo* info = find_safetensors_dtype(dtype->get<std::string>());
    if (info == nullptr) fail(path, "a tensor of an unknown dtype", name + ": " + dtype->get<std::string>());
    const uint64_t begin = unsigned_number((*offsets)[0], path, name), end = unsigned_number((*offsets)[1], path, name);
    if (begin > end || end > data.size()) fail(path, "a tensor lies outside the file", name);
    PickleTensor tensor;
    tensor.dtype = info->dtype;
    for (const auto& item : *shape) {
      const uint64_t size = unsigned_number(item, path, name);
      if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) fail(path, "an impossible shape", name);
      tensor.sizes.push_back(static_cast<int64_t>(size));
    }
    const bool is_empty = std::find(tensor.sizes.begin(), tensor.sizes.end(), 0) != tensor.sizes.end();
    unsigned __int128 count = is_empty ? 0 : 1;
    for (const int64_t size : tensor.sizes) {
      count *= static_cast<uint64_t>(size);
      if (count > data.size()) fail(path, "a tensor is larger than the file", name);
    }
    if (count * info->size != end - begin) fail(path, "a tensor's shape and its bytes disagree", name);
    tensor.strides.resize(tensor.sizes.size());
    int64_t stride = 1;
    for (size_t i = tensor.sizes.size(); i-- > 0;) {
      tensor.strides[i] = stride;
      if (!is_empty) stride *= tensor.sizes[i];
    }
    tensor.storage = std::make_shared<PickleStorage>();
    tensor.storage->key = name;
    tensor.storage->dtype = info->dtype;
    tensor.storage->bytes = data.substr(begin, end - begin);
    tensor.storage->size = end - begin;
    tensor.storage->owner = mapped;
    tensor.storage->mapped = mapped;
    spans.emplace_back(begin, end);
    out.tensors.emplace_back(name, std::move(tensor));
  }
  std::sort(spans.begin(), spans.end());
  uint64_t expected = 0;
  for (const auto& [begin, end] : spans) {
    if (begin != expected) fail(path, "its tensors overlap or leave gaps");
    expected = end;
  }
  if (expected != data.size()) fail(path, "it has bytes that belong to no tensor");
  std::stable_sort(out.tensors.begin(), out.tensors.end(), [](const auto& a, const auto& b) {
    return a.second.storage->bytes.data() < b.second.storage->bytes.data();
  });
  return out;
}

void write_safetensors(const std::string& path, const SafetensorsFile& file) {
  std::vector<const std::pair<std::string, PickleTensor>*> order;
  for (const auto& entry : file.tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    const auto size_a = info_of(a->second.dtype).size, size_b = info_of(b->second.dtype).size;
    return size_a != size_b ? size_a > size_b : a->first < b->first;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header[std::string(kMetadata)] = file.metadata;
  uint64_t offset = 0;
  for (const auto* entry : order) {
    const auto& [name, tensor] = *entry;
    const TensorDtypeInfo& info = info_of(tensor.dtype);
    if (info.safetensors.empty()) {
      throw Error(Code::kUsage, "safetensors files cannot hold this dtype")
          .at(path)
          .seen(name + ": " + std::string(info.name));
    }
    if (!utf8::is_valid(name) || name == kMetadata || header.contains(name)) {
      throw Error(Code::kUsage, "a tensor's name cannot be used in a safetensors file").at(path).seen(name);
    }
    if (!tensor.is_contiguous() || !tensor.storage) {
      throw Error(Code::kUsage, "safetensors files hold contiguous tensors only").at(path).seen(name);
    }
    const uint64_t size = static_cast<uint64_t>(tensor.numel()) * info.size;
    if (size != 0 && static_cast<uint64_t>(tensor.offset) * info.size + size > tensor.storage->bytes.size()) {
      throw Error(Code::kUsage, "a tensor to be saved is not loaded").at(path).seen(name);
    }
    header[name] = {{"dtype", info.safetensors}, {"shape", tensor.sizes}, {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // keeps the data aligned
  write_file_atomically(path, [&](FileWriter& writer) {
    const uint64_t size = text.size();
    writer.write({reinterpret_cast<const char*>(&size), sizeof size});
    writer.write(text);
    for (const auto* entry : order) {
      const PickleTensor& tensor = entry->second;
      const uint64_t item = info_of(tensor.dtype).size;
      if (tensor.numel() == 0) continue;
      writer.write(tensor.storage->bytes.substr(static_cast<uint64_t>(tensor.offset) * item,
                                                static_cast<uint64_t>(tensor.numel()) * item));
    }
  });
}

}  // namespace fathom::checkpoint
