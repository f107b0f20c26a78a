#include "core/archive/pickle_writer.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

#include "core/base/text.h"
#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::checkpoint {
namespace {

constexpr size_t kBatch = 1000;  // items per MARK … APPENDS, as Python

class PickleWriter {
 public:
  PickledValue write(const PickleValue& root) {
    out_.pickle = "\x80\x02";
    put(root, 0);
    out_.pickle += '.';
    return std::move(out_);
  }

 private:
  using Kind = PickleValue::Kind;

  template <typename T>
  void raw(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out_.pickle.append(bytes, sizeof value);
  }
  void op(char code) { out_.pickle += code; }

  // --- memo ---
  uint32_t remember() {
    const uint32_t index = memo_count_++;
    if (index < 256) {
      op('q');
      raw(static_cast<uint8_t>(index));
    } else {
      op('r');
      raw(index);
    }
    return index;
  }
  void recall(uint32_t index) {
    if (index < 256) {
      op('h');
      raw(static_cast<uint8_t>(index));
    } else {
      op('j');
      raw(index);
    }
  }

  void put(const PickleValue& wrapped, size_t depth) {
    if (depth > kMaxPickleDepth)
      throw Error(Code::kUsage, "a value to be saved is nested too deeply, or contains itself");
    const PickleValue& value = wrapped.plain();
    switch (value.kind()) {
      case Kind::kNone: op('N'); return;
      case Kind::kBool: op(value.as_bool() ? '\x88' : '\x89'); return;
      case Kind::kInt: integer(value.as_int()); return;
      case Kind::kBigInt: big_integer(value.as_string()); return;
      case Kind::kFloat: {
        op('G');
        raw(__builtin_bswap64(std::bit_cast<uint64_t>(value.as_double())));
        return;
      }
      case Kind::kString: text(value.as_string()); return;
      case Kind::kBytes: bytes(value.as_string()); return;
      case Kind::kDtype: global("torch", info_of(value.as_dtype()).name); return;
      case Kind::kTensor: tensor(value.as_tensor()); return;
      case Kind::kList:
      case Kind::kTuple:
      case Kind::kSet:
      case Kind::kDict: container(value, depth); return;
      case Kind::kObject:
        if (value.as_object().full_name() == "torch.device" && value.as_object().arguments.kind() == Kind::kTuple) {
          global("torch", "device");
          put(value.as_object().arguments, depth + 1);
          op('R');
          return;
        }
        break;
      case Kind::kStorage: break;
    }
    throw Error(Code::kUsage, "a value of this type cannot be saved in a checkpoint")
        .seen(value.kind() == Kind::kObject ? value.as_object().full_name() : std::string(value.kind_name()))
        .expected("None, bool, int, float, str, bytes, list, tuple, set, dict, dtype, device or tensor");
  }

  void integer(int64_t value) {
    if (value >= 0 && value <= 0xff) {
      op('K');
      raw(static_cast<uint8_t>(value));
    } else if (value >= 0 && value <= 0xffff) {
      op('M');
      raw(static_cast<uint16_t>(value));
    } else if (value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max()) {
      op('J');
      raw(static_cast<int32_t>(value));
    } else {
      uint8_t size = 8;  // the shortest two's complement form, as Python
      while (size > 1 && (value >> (8 * (size - 1) - 1)) == (value < 0 ? -1 : 0)) --size;
      op('\x8a');
      raw(size);
      for (int i = 0; i < size; ++i) op(static_cast<char>(value >> (8 * i)));
    }
  }

  void big_integer(const std::string& digits) {
    const bool negative = digits.starts_with('-');
    std::string magnitude;  // little endian
    for (size_t i = negative ? 1 : 0; i < digits.size(); ++i) {
      if (digits[i] < '0' || digits[i] > '9')
        throw Error(Code::kUsage, "an integer to be saved is no number").seen(digits);
      unsigned carry = static_cast<unsigned>(digits[i] - '0');
      for (char& byte : magnitude) {
        carry += static_cast<uint8_t>(byte) * 10U;
        byte = static_cast<char>(carry & 0xff);
        carry >>= 8;
      }
      if (carry != 0) magnitude += static_cast<char>(carry);
    }
    if (magnitude.empty() || (static_cast<uint8_t>(magnitude.back()) & 0x80)) magnitude += '\0';
    if (negative) {
      unsigned carry = 1;
      for (char& byte : magnitude) {
        carry += static_cast<uint8_t>(~byte);
        byte = static_cast<char>(carry & 0xff);
        carry >>= 8;
      }
    }
    if (magnitude.size() > 255) throw Error(Code::kUsage, "an integer to be saved is too long").seen(digits);
    op('\x8a');
    raw(static_cast<uint8_t>(magnitude.size()));
    out_.pickle += magnitude;
  }

  void text(std::string_view value) {
    if (const auto it = texts_.find(std::string(value)); it != texts_.end()) {
      recall(it->second);
      return;
    }
    if (!utf8::is_valid(value)) throw Error(Code::kUsage, "a text to be saved is not UTF-8");
    if (value.size() > std::numeric_limits<uint32_t>::max())
      throw Error(Code::kUsage, "a text to be saved exceeds 4 GiB");
    op('X');
    raw(static_cast<uint32_t>(value.size()));
    out_.pickle += value;
    texts_.emplace(value, remember());
  }

  // Protocol 2 has no opcode for bytes: Python writes _codecs.encode(text, "latin1").
  void bytes(const std::string& value) {
    std::string encoded;
    for (const char byte : value) {
      utf8::append(encoded, static_cast<unsigned char>(byte));
    }
    global("_codecs", "encode");
    text(encoded);
    text("latin1");
    op('\x86');
    op('R');
  }

  void global(std::string_view module, std::string_view name) {
    std::string key = fmt::format("{}\n{}\n", module, name);
    if (const auto it = globals_.find(key); it != globals_.end()) {
      recall(it->second);
      return;
    }
    op('c');
    out_.pickle += key;
    globals_.emplace(std::move(key), remember());
  }

  void container(const PickleValue& value, size_t depth) {
    if (const auto it = containers_.find(value.identity()); it != containers_.end()) {
      recall(it->second);
      return;
    }
    switch (value.kind()) {
      case Kind::kTuple: tuple(value, depth); return;
      case Kind::kList:
        op(']');
        containers_.emplace(value.identity(), remember());
        for (size_t from = 0; from < value.items().size(); from += kBatch) {
          const size_t to = std::min(from + kBatch, value.items().size());
          op('(');
          for (size_t i = from; i < to; ++i) put(value.items()[i], depth + 1);
          op('e');
        }
        return;
      case Kind::kSet:
        global("__builtin__", "set");
        op(']');
        op('(');
        for (const auto& item : value.items()) put(item, depth + 1);
        op('e');
        op('\x85');
        op('R');
        containers_.emplace(value.identity(), remember());
        return;
      default: dict(value, depth); return;
    }
  }

  void tuple(const PickleValue& value, size_t depth) {
    const PickleList& items = value.items();
    if (items.empty()) {
      op(')');
      return;
    }
    if (items.size() > 3) op('(');
    for (const auto& item : items) put(item, depth + 1);
    op(items.size() > 3 ? 't' : static_cast<char>(0x84 + items.size()));
    containers_.emplace(value.identity(), remember());
  }

  void dict(const PickleValue& value, size_t depth) {
    const PickleDict& dict = value.as_dict();
    const bool ordered = dict.cls() == PickleDict::Class::kOrderedDict;
    if (ordered) {
      global("collections", "OrderedDict");
      op(')');
      op('R');
    } else {
      op('}');  // a defaultdict too: its factory is code
    }
    containers_.emplace(value.identity(), remember());
    const auto& entries = dict.entries();
    for (size_t from = 0; from < entries.size(); from += kBatch) {
      const size_t to = std::min(from + kBatch, entries.size());
      op('(');
      for (size_t i = from; i < to; ++i) {
        put(entries[i].first, depth + 1);
        put(entries[i].second, depth + 1);
      }
      op('u');
    }
    if (ordered && dict.attributes.is_dict()) {
      put(dict.attributes, depth + 1);
      op('b');
    }
  }

  // --- tensors ---
  void integers(const std::vector<int64_t>& values) {
    if (values.empty()) {
      op(')');
      return;
    }
    if (values.size() > 3) op('(');
    for (const int64_t value : values) integer(value);
    op(values.size() > 3 ? 't' : static_cast<char>(0x84 + values.size()));
  }

  size_t storage_index(const std::shared_ptr<PickleStorage>& storage) {
    if (!storage) throw Error(Code::kUsage, "a tensor to be saved has no storage");
    if (storage->bytes.size() != storage->size) throw Error(Code::kUsage, "a storage to be saved is not loaded");
    // Two empty storages may have one address and are still not the same.
    const void* address = storage->bytes.empty() ? static_cast<const void*>(storage.get()) : storage->bytes.data();
    const auto [it, added] = storages_.try_emplace({address, storage->size}, out_.storages.size());
    if (added) out_.storages.push_back(storage);
    return it->second;
  }

  void tensor(const PickleTensor& tensor) {
    const TensorDtypeInfo& info = info_of(tensor.dtype);
    const bool untyped = info.storage_class.empty();
    if (tensor.is_parameter) global("torch._utils", "_rebuild_parameter");
    global("torch._utils", untyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    op('(');
    op('(');
    const size_t index = storage_index(tensor.storage);
    text("storage");
    if (untyped) {
      global("torch.storage", "UntypedStorage");
    } else {
      global("torch", info.storage_class);
    }
    text(std::to_string(index));
    text("cpu");
    integer(static_cast<int64_t>(tensor.storage->size / (untyped ? 1 : info.size)));
    op('t');
    op('Q');
    integer(tensor.offset);
    integers(tensor.sizes);
    integers(tensor.strides);
    op(tensor.requires_grad && !tensor.is_parameter ? '\x88' : '\x89');
    ordered_dict();  // backward hooks: always none
    if (untyped) global("torch", info.name);
    op('t');
    op('R');
    if (!tensor.is_parameter) return;
    op(tensor.requires_grad ? '\x88' : '\x89');
    ordered_dict();
    op('\x87');
    op('R');
  }

  void ordered_dict() {
    global("collections", "OrderedDict");
    op(')');
    op('R');
  }

  PickledValue out_;
  uint32_t memo_count_ = 0;
  std::unordered_map<std::string, uint32_t> texts_, globals_;
  std::unordered_map<const void*, uint32_t> containers_;
  std::map<std::pair<const void*, uint64_t>, size_t> storages_;
};

}  // namespace

PickledValue write_pickle(const PickleValue& value) { return PickleWriter().write(value); }

}  // namespace fathom::checkpoint
