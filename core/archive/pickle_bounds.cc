#include "core/archive/pickle_bounds.h"

#include <fmt/format.h>

#include <limits>

#include "core/archive/pickle_numbers.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

constexpr size_t kMaxRank = 64;
constexpr uint64_t kMaxStorageBytes = uint64_t{1} << 62;
constexpr uint64_t kCopiesAllowed = 64 << 20, kCopiesPerByte = 16;

[[noreturn]] void refuse(std::string what, std::string seen = {}) {
  throw Error(Code::kBadData, std::move(what)).seen(std::move(seen));
}

}  // namespace

CopyBudget::CopyBudget(uint64_t pickle_bytes) : left_(kCopiesAllowed + kCopiesPerByte * pickle_bytes) {}

void CopyBudget::spend(uint64_t bytes) {
  if (bytes > left_) refuse("it copies its values again and again");
  left_ -= bytes;
}

void CopyBudget::spend_key(const PickleValue& key, size_t depth) {
  if (key.is_string() || key.kind() == PickleValue::Kind::kBytes) return spend(key.as_string().size());
  if (key.kind() != PickleValue::Kind::kTuple) return;
  // Read from bytes whose nesting nobody has checked yet.
  if (depth > kMaxPickleDepth) refuse("values are nested too deeply");
  spend(key.items());
  for (const auto& item : key.items()) spend_key(item, depth + 1);
}

PickleValue integer_of(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  // Not every writer uses the shortest form.
  while (bytes.size() > 8 && at(bytes.size() - 1) == ((at(bytes.size() - 2) & 0x80) != 0 ? 0xff : 0))
    bytes.remove_suffix(1);
  if (bytes.size() > 8) return PickleValue::big_int(decimal_of(bytes));
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= static_cast<uint64_t>(at(i)) << (8 * i);
  const bool negative = !bytes.empty() && (at(bytes.size() - 1) & 0x80) != 0;
  if (negative && bytes.size() < 8) value |= ~uint64_t{0} << (8 * bytes.size());
  return static_cast<int64_t>(value);
}

uint64_t storage_bytes(int64_t count, TensorDtype dtype) {
  const uint64_t item = info_of(dtype).size;
  if (count < 0 || static_cast<uint64_t>(count) > kMaxStorageBytes / item)
    refuse("a storage of an impossible size", std::to_string(count));
  return static_cast<uint64_t>(count) * item;
}

std::vector<int64_t> bounded_shape(const PickleValue& value) {
  if (!value.is_sequence()) refuse("a tensor's shape is no tuple");
  if (value.items().size() > kMaxRank) refuse("a tensor of too many dimensions", std::to_string(value.items().size()));
  std::vector<int64_t> out;
  for (const auto& item : value.items()) {
    if (item.kind() != PickleValue::Kind::kInt) refuse("a tensor's shape holds something that is no integer");
    if (item.as_int() < 0) refuse("a tensor's shape or stride is negative", std::to_string(item.as_int()));
    out.push_back(item.as_int());
  }
  return out;
}

void check_tensor_bounds(const PickleTensor& tensor) {
  if (tensor.sizes.size() != tensor.strides.size()) refuse("a tensor has more dimensions than strides, or fewer");
  if (tensor.offset < 0) refuse("a tensor's offset is negative", std::to_string(tensor.offset));
  const auto limit = static_cast<__int128>(std::numeric_limits<int64_t>::max());
  __int128 count = 1;
  bool is_empty = false;
  for (const int64_t size : tensor.sizes) {
    is_empty = is_empty || size == 0;
    count *= size == 0 ? 1 : size;
    if (count > limit) refuse("a tensor of an impossible size");
  }
  if (is_empty) return;
  __int128 last = tensor.offset;
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    last += static_cast<__int128>(tensor.sizes[i] - 1) * tensor.strides[i];
    if (last > limit) refuse("a tensor of an impossible stride");
  }
  const auto held = static_cast<__int128>(tensor.storage->size / info_of(tensor.dtype).size);
  if (last >= held) {
    refuse("a tensor reaches beyond its storage",
           fmt::format("element {} of {}", static_cast<int64_t>(last), static_cast<int64_t>(held)));
  }
}

}  // namespace fathom::checkpoint
