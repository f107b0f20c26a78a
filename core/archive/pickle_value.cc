#include "core/archive/pickle_value.h"

#include <fmt/format.h>

#include <cmath>

#include "core/base/text.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

constexpr size_t kIndexFrom = 8;
constexpr size_t kMaxKeyText = 1 << 16;

[[noreturn]] void wrong_kind(const PickleValue& value, std::string_view expected) {
  throw Error(Code::kBadData, "a value of the checkpoint has an unexpected type")
      .seen(std::string(value.kind_name()))
      .expected(std::string(expected))
      .next("check that the file is a checkpoint of this kind; `fathom inspect` shows what it holds");
}

// One text per class of keys that Python holds equal.
void append_key(const PickleValue& key, std::string& out, size_t depth = 0) {
  using Kind = PickleValue::Kind;
  if (out.size() > kMaxKeyText || depth > kMaxPickleDepth)
    throw Error(Code::kBadData, "a dict key of the checkpoint is too long");
  switch (key.kind()) {
    case Kind::kNone: out += "N;"; return;
    case Kind::kBool: out += key.as_bool() ? "i1;" : "i0;"; return;
    case Kind::kInt: out += fmt::format("i{};", key.as_int()); return;
    case Kind::kFloat: {
      const double value = key.as_double();
      if (value == std::floor(value) && std::fabs(value) < 9.0e18) {
        out += fmt::format("i{};", static_cast<int64_t>(value));
      } else {
        out += fmt::format("f{};", value);
      }
      return;
    }
    case Kind::kBigInt: out += fmt::format("i{};", key.as_string()); return;
    case Kind::kString: out += fmt::format("s{}:{};", key.as_string().size(), key.as_string()); return;
    case Kind::kBytes: out += fmt::format("b{}:{};", key.as_string().size(), key.as_string()); return;
    case Kind::kDtype: out += fmt::format("d{};", static_cast<int>(key.as_dtype())); return;
    case Kind::kTuple:
      out += '(';
      for (const auto& item : key.items()) append_key(item, out, depth + 1);
      out += ')';
      return;
    case Kind::kObject: out += fmt::format("o{};", fmt::ptr(key.identity())); return;
    default: break;
  }
  throw Error(Code::kBadData, "a value of this type cannot be a dict key").seen(std::string(key.kind_name()));
}

std::string key_text(const PickleValue& key) {
  std::string out;
  append_key(key, out);
  return out;
}

std::string key_text(std::string_view key) { return fmt::format("s{}:{};", key.size(), key); }

}  // namespace

int64_t PickleTensor::numel() const {
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  return count;
}

bool PickleTensor::is_contiguous() const {
  int64_t expected = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == 0) return true;
    if (sizes[i] != 1 && strides[i] != expected) return false;
    expected *= sizes[i];
  }
  return true;
}

PickleValue::PickleValue(std::string value) : data_(std::make_shared<Text>(Text{Kind::kString, std::move(value)})) {}
PickleValue::PickleValue(PickleTensor tensor) : data_(std::make_shared<PickleTensor>(std::move(tensor))) {}
PickleValue::PickleValue(PickleDict dict) : data_(std::make_shared<PickleDict>(std::move(dict))) {}
PickleValue::PickleValue(PickleObject object) : data_(std::make_shared<PickleObject>(std::move(object))) {}

PickleValue PickleValue::bytes(std::string data) {
  PickleValue value;
  value.data_ = std::make_shared<Text>(Text{Kind::kBytes, std::move(data)});
  return value;
}
PickleValue PickleValue::big_int(std::string decimal) {
  PickleValue value;
  value.data_ = std::make_shared<Text>(Text{Kind::kBigInt, std::move(decimal)});
  return value;
}
PickleValue PickleValue::list(PickleList items) {
  PickleValue value;
  value.data_ = std::make_shared<Sequence>(Sequence{Kind::kList, std::move(items)});
  return value;
}
PickleValue PickleValue::tuple(PickleList items) {
  PickleValue value;
  value.data_ = std::make_shared<Sequence>(Sequence{Kind::kTuple, std::move(items)});
  return value;
}
PickleValue PickleValue::set(PickleList items) {
  PickleValue value;
  value.data_ = std::make_shared<Sequence>(Sequence{Kind::kSet, std::move(items)});
  return value;
}
PickleValue PickleValue::dict() { return PickleValue(PickleDict()); }
PickleValue PickleValue::dict(std::initializer_list<std::pair<const char*, PickleValue>> entries) {
  PickleValue out = dict();
  for (const auto& [key, value] : entries) out.mutable_dict().set(key, value);
  return out;
}
PickleValue PickleValue::ordered_dict() { return PickleValue(PickleDict(PickleDict::Class::kOrderedDict)); }
PickleValue PickleValue::storage(std::shared_ptr<PickleStorage> storage, TensorDtype dtype, bool untyped) {
  PickleValue value;
  value.data_ = std::make_shared<StorageRef>(StorageRef{std::move(storage), dtype, untyped});
  return value;
}

PickleValue::Kind PickleValue::kind() const {
  switch (data_.index()) {
    case 0: return Kind::kNone;
    case 1: return Kind::kBool;
    case 2: return Kind::kInt;
    case 3: return Kind::kFloat;
    case 4: return Kind::kDtype;
    case 5: return std::get<5>(data_)->kind;
    case 6: return std::get<6>(data_)->kind;
    case 7: return Kind::kDict;
    case 8: return Kind::kTensor;
    case 9: return Kind::kObject;
    default: return Kind::kStorage;
  }
}

std::string_view PickleValue::kind_name() const {
  switch (kind()) {
    case Kind::kNone: return "NoneType";
    case Kind::kBool: return "bool";
    case Kind::kInt:
    case Kind::kBigInt: return "int";
    case Kind::kFloat: return "float";
    case Kind::kString: return "str";
    case Kind::kBytes: return "bytes";
    case Kind::kList: return "list";
    case Kind::kTuple: return "tuple";
    case Kind::kSet: return "set";
    case Kind::kDict: return "dict";
    case Kind::kTensor: return "Tensor";
    case Kind::kDtype: return "dtype";
    case Kind::kObject: return "object";
    case Kind::kStorage: return "Storage";
  }
  return "unknown";
}

bool PickleValue::as_bool() const {
  if (const bool* value = std::get_if<bool>(&data_)) return *value;
  wrong_kind(*this, "bool");
}
int64_t PickleValue::as_int() const {
  if (const int64_t* value = std::get_if<int64_t>(&data_)) return *value;
  wrong_kind(*this, "int");
}
double PickleValue::as_double() const {
  if (const double* value = std::get_if<double>(&data_)) return *value;
  if (const int64_t* value = std::get_if<int64_t>(&data_)) return static_cast<double>(*value);
  wrong_kind(*this, "float");
}
const std::string& PickleValue::as_string() const {
  if (const auto* text = std::get_if<std::shared_ptr<Text>>(&data_)) return (*text)->text;
  wrong_kind(*this, "str");
}
const PickleTensor& PickleValue::as_tensor() const {
  if (const auto* tensor = std::get_if<std::shared_ptr<PickleTensor>>(&data_)) return **tensor;
  wrong_kind(*this, "Tensor");
}
TensorDtype PickleValue::as_dtype() const {
  if (const TensorDtype* value = std::get_if<TensorDtype>(&data_)) return *value;
  wrong_kind(*this, "dtype");
}
const PickleObject& PickleValue::as_object() const {
  if (const auto* object = std::get_if<std::shared_ptr<PickleObject>>(&data_)) return **object;
  wrong_kind(*this, "object");
}
const PickleList& PickleValue::items() const {
  if (const auto* sequence = std::get_if<std::shared_ptr<Sequence>>(&data_)) return (*sequence)->items;
  wrong_kind(*this, "list, tuple or set");
}
const PickleDict& PickleValue::as_dict() const {
  if (const auto* dict = std::get_if<std::shared_ptr<PickleDict>>(&data_)) return **dict;
  wrong_kind(*this, "dict");
}
PickleList& PickleValue::mutable_items() { return const_cast<PickleList&>(std::as_const(*this).items()); }
PickleDict& PickleValue::mutable_dict() { return const_cast<PickleDict&>(std::as_const(*this).as_dict()); }
PickleObject& PickleValue::mutable_object() { return const_cast<PickleObject&>(std::as_const(*this).as_object()); }
PickleTensor& PickleValue::mutable_tensor() { return const_cast<PickleTensor&>(std::as_const(*this).as_tensor()); }

const PickleValue& PickleValue::plain() const {
  const PickleValue* value = this;
  // While it is being read, an object may still hold itself.
  for (size_t depth = 0; value->kind() == Kind::kObject && value->as_object().content; ++depth) {
    if (depth > kMaxPickleDepth) throw Error(Code::kBadData, "an object of the checkpoint contains itself");
    value = &*value->as_object().content;
  }
  return *value;
}

const PickleValue* PickleValue::find(std::string_view key) const {
  const PickleValue& value = plain();
  return value.is_dict() ? value.as_dict().find(key) : nullptr;
}

const PickleValue& PickleValue::at(std::string_view key) const {
  const PickleDict& dict = plain().as_dict();
  if (const PickleValue* found = dict.find(key)) return *found;
  std::vector<std::string> names;
  for (const auto& [name, value] : dict) {
    if (name.is_string()) names.push_back(name.as_string());
  }
  throw Error(Code::kBadData, fmt::format("the checkpoint has no entry '{}'", key))
      .candidates(nearest_names(key, names));
}

const void* PickleValue::identity() const {
  return std::visit(
      [](const auto& held) -> const void* {
        if constexpr (requires { held.get(); }) {
          return held.get();
        } else {
          return nullptr;
        }
      },
      data_);
}

const PickleValue* PickleDict::find(const PickleValue& key) const {
  const std::string text = key_text(key);
  if (entries_.size() >= kIndexFrom) {
    const auto it = index_.find(text);
    return it == index_.end() ? nullptr : &entries_[it->second].second;
  }
  for (const auto& [name, value] : entries_) {
    if (key_text(name) == text) return &value;
  }
  return nullptr;
}

const PickleValue* PickleDict::find(std::string_view key) const {
  if (entries_.size() >= kIndexFrom) {
    const auto it = index_.find(key_text(key));
    return it == index_.end() ? nullptr : &entries_[it->second].second;
  }
  for (const auto& [name, value] : entries_) {
    if (name.is_string() && name.as_string() == key) return &value;
  }
  return nullptr;
}

void PickleDict::set(const PickleValue& key, PickleValue value) {
  if (const PickleValue* known = find(key)) {  // also refuses what cannot be a key
    *const_cast<PickleValue*>(known) = std::move(value);
    return;
  }
  entries_.emplace_back(key, std::move(value));
  if (entries_.size() < kIndexFrom) return;
  if (entries_.size() == kIndexFrom) {
    for (size_t i = 0; i < entries_.size(); ++i) index_.emplace(key_text(entries_[i].first), i);
  } else {
    index_.emplace(key_text(key), entries_.size() - 1);
  }
}

void PickleDict::clear() {
  entries_.clear();
  index_.clear();
  attributes = PickleValue();
}

}  // namespace fathom::checkpoint
