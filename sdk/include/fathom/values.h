// Values: named tensors (and lists, maps, texts, numbers, switches, opaque objects) that flow through ports and
// batches, and that a model's predict_step gives. Not thread-safe beyond reading.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <concepts>
#include <memory>
#include <variant>
#include <vector>

#include "fathom/abi/value.h"
#include "fathom/support.h"

namespace fathom {

class Values;

// An object that only its maker and those who know its type can read, shared by who holds it.
class Opaque {
 public:
  // `type` names what it is, with a revision: "my_collection.Lattice/1".
  Opaque(std::string type, std::shared_ptr<void> data) : type_(std::move(type)), data_(std::move(data)) {
    // A count of those beyond the boundary, which keep the data when this object is gone.
    struct Count {
      std::shared_ptr<void> data;
      std::atomic<int> holders;
    };
    abi_ = {sizeof(fathom_opaque),
            to_abi(type_),
            data_.get(),
            new Count{data_, 1},
            [](void* ctx) { ++static_cast<Count*>(ctx)->holders; },
            [](void* ctx) {
              if (--static_cast<Count*>(ctx)->holders == 0) delete static_cast<Count*>(ctx);
            }};
  }
  // One that another binary made: kept with its retain, given back with its release.
  explicit Opaque(const fathom_opaque* given) : Opaque(to_string(given->type), shared(filled(given))) {}
  ~Opaque() { abi_.release(abi_.ctx); }
  Opaque(const Opaque&) = delete;
  Opaque& operator=(const Opaque&) = delete;

  const std::string& type() const { return type_; }
  const std::shared_ptr<void>& data() const { return data_; }
  const fathom_opaque& abi() const { return abi_; }

 private:
  static std::shared_ptr<void> shared(const fathom_opaque& given) {
    if (given.retain == nullptr || given.release == nullptr)
      throw Error(Code::kInternal, "an opaque value without retain and release crossed the plugin boundary");
    given.retain(given.ctx);
    return {given.data, [ctx = given.ctx, release = given.release](void*) { release(ctx); }};
  }
  std::string type_;
  std::shared_ptr<void> data_;
  fathom_opaque abi_{};
};

class Value {
 public:
  using List = std::vector<Value>;
  using Map = std::vector<std::pair<std::string, Value>>;  // in order

  Value() = default;
  Value(at::Tensor tensor) : data_(std::move(tensor)) {}         // NOLINT: conversions are the point
  Value(List list) : data_(std::move(list)) {}                   // NOLINT
  Value(Map map) : data_(std::move(map)) {}                      // NOLINT
  inline Value(Values map);                                      // NOLINT
  Value(std::string text) : data_(std::move(text)) {}            // NOLINT
  Value(std::string_view text) : data_(std::string(text)) {}     // NOLINT
  Value(const char* text) : data_(std::string(text)) {}          // NOLINT
  Value(std::same_as<bool> auto on) : data_(on) {}               // NOLINT
  Value(std::floating_point auto real) : data_(double{real}) {}  // NOLINT
  // Every integer type but bool; throws for one that int64_t cannot hold.
  template <std::integral I>
    requires(!std::same_as<I, bool>)
  Value(I integer) : data_(static_cast<int64_t>(integer)) {  // NOLINT
    if (!std::in_range<int64_t>(integer))
      throw Error(Code::kFailed, "a value is too large for an integer").seen(std::to_string(integer));
  }
  Value(std::nullptr_t) = delete;  // none is Value()
  static Value opaque(std::string type, std::shared_ptr<void> data) {
    Value out;
    out.data_ = std::make_shared<Opaque>(std::move(type), std::move(data));
    return out;
  }

  bool is_none() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_tensor() const { return std::holds_alternative<at::Tensor>(data_); }
  bool is_list() const { return std::holds_alternative<List>(data_); }
  bool is_map() const { return std::holds_alternative<Map>(data_); }
  bool is_text() const { return std::holds_alternative<std::string>(data_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(data_); }
  bool is_real() const { return std::holds_alternative<double>(data_); }
  bool is_boolean() const { return std::holds_alternative<bool>(data_); }
  bool is_opaque() const { return std::holds_alternative<std::shared_ptr<Opaque>>(data_); }

  const at::Tensor& tensor() const { return get<at::Tensor>("a tensor"); }
  const List& list() const { return get<List>("a list"); }
  const Map& map() const { return get<Map>("a map"); }
  const std::string& text() const { return get<std::string>("a text"); }
  int64_t integer() const { return get<int64_t>("an integer"); }
  // An integer is a number too.
  double real() const { return is_integer() ? static_cast<double>(integer()) : get<double>("a number"); }
  bool boolean() const { return get<bool>("true or false"); }
  // The object of an opaque value; an error where it is of another type.
  std::shared_ptr<void> opaque(std::string_view type) const {
    const auto& held = get<std::shared_ptr<Opaque>>("an opaque object");
    if (held->type() != type)
      throw Error(Code::kFailed, "an opaque value is of another type").seen(held->type()).expected(std::string(type));
    return held->data();
  }
  const char* kind_name() const {
    constexpr const char* kNames[] = {"nothing",    "a tensor", "a list",        "a map",           "a text",
                                      "an integer", "a number", "true or false", "an opaque object"};
    return kNames[data_.index()];
  }

  // Another tensor in the place of this one: the same thing in another dtype, layout or place. Type and source stay.
  void set_tensor(at::Tensor tensor) { data_ = std::move(tensor); }

  fathom_type_id type() const { return type_; }
  void set_type(fathom_type_id type) { type_ = type; }
  // The output port it came from, for messages; 0 when not known.
  uint32_t source() const { return source_; }
  void set_source(uint32_t source) { source_ = source; }

  // What the boundary's form of lists and maps points to.
  struct Arena {
    std::vector<std::vector<fathom_value>> lists;  // the inner vectors stay where they are when these grow
    std::vector<std::vector<fathom_named_value>> maps;
  };
  // The boundary's form. Borrows from this value and the arena.
  fathom_value to_abi(Arena& arena) const {
    fathom_value out{};
    out.type = type_;
    out.source = source_;
    out.rank = -1;
    if (const auto* tensor = std::get_if<at::Tensor>(&data_)) {
      out.kind = tensor->defined() ? FATHOM_VALUE_TENSOR : FATHOM_VALUE_NONE;
      out.as.tensor = reinterpret_cast<fathom_tensor>(const_cast<at::Tensor*>(tensor));
      if (tensor->defined()) out.rank = static_cast<int32_t>(tensor->dim());
    } else if (const auto* list = std::get_if<List>(&data_)) {
      std::vector<fathom_value> items;
      for (const auto& item : *list) items.push_back(item.to_abi(arena));
      arena.lists.push_back(std::move(items));
      out.kind = FATHOM_VALUE_LIST;
      out.as.list = {arena.lists.back().data(), arena.lists.back().size()};
    } else if (const auto* map = std::get_if<Map>(&data_)) {
      std::vector<fathom_named_value> items;
      for (const auto& [name, item] : *map) items.push_back({::fathom::to_abi(name), item.to_abi(arena)});
      arena.maps.push_back(std::move(items));
      out.kind = FATHOM_VALUE_MAP;
      out.as.map = {arena.maps.back().data(), arena.maps.back().size()};
    } else if (const auto* text = std::get_if<std::string>(&data_)) {
      out.kind = FATHOM_VALUE_TEXT;
      out.as.text = ::fathom::to_abi(*text);
    } else if (const auto* integer = std::get_if<int64_t>(&data_)) {
      out.kind = FATHOM_VALUE_INT;
      out.as.integer = *integer;
    } else if (const auto* real = std::get_if<double>(&data_)) {
      out.kind = FATHOM_VALUE_REAL;
      out.as.real = *real;
    } else if (const auto* on = std::get_if<bool>(&data_)) {
      out.kind = FATHOM_VALUE_BOOL;
      out.as.integer = *on ? 1 : 0;
    } else if (const auto* object = std::get_if<std::shared_ptr<Opaque>>(&data_)) {
      out.kind = FATHOM_VALUE_OPAQUE;
      out.as.opaque = &(*object)->abi();
    }
    return out;
  }
  static Value from_abi(const fathom_value& in) {
    Value out;
    switch (in.kind) {
      case FATHOM_VALUE_NONE: break;
      case FATHOM_VALUE_TENSOR: out.data_ = *reinterpret_cast<at::Tensor*>(in.as.tensor); break;
      case FATHOM_VALUE_LIST: {
        List items;
        for (size_t i = 0; i < in.as.list.count; ++i) items.push_back(from_abi(in.as.list.items[i]));
        out.data_ = std::move(items);
        break;
      }
      case FATHOM_VALUE_MAP: {
        Map items;
        for (size_t i = 0; i < in.as.map.count; ++i)
          items.emplace_back(to_string(in.as.map.items[i].name), from_abi(in.as.map.items[i].value));
        out.data_ = std::move(items);
        break;
      }
      case FATHOM_VALUE_TEXT: out.data_ = to_string(in.as.text); break;
      case FATHOM_VALUE_INT: out.data_ = in.as.integer; break;
      case FATHOM_VALUE_REAL: out.data_ = in.as.real; break;
      case FATHOM_VALUE_BOOL: out.data_ = in.as.integer != 0; break;
      case FATHOM_VALUE_OPAQUE: out.data_ = std::make_shared<Opaque>(in.as.opaque); break;
      default:
        throw Error(Code::kInternal,
                    "a value of unknown kind " + std::to_string(in.kind) + " crossed the plugin boundary");
    }
    out.type_ = in.type;
    out.source_ = in.source;
    return out;
  }

 private:
  template <typename T>
  const T& get(const char* wanted) const {
    if (const T* value = std::get_if<T>(&data_)) return *value;
    throw Error(Code::kFailed, std::string("a value holds ") + kind_name() + " where " + wanted + " is needed");
  }
  std::variant<std::monostate, at::Tensor, List, Map, std::string, int64_t, double, bool, std::shared_ptr<Opaque>>
      data_;
  fathom_type_id type_ = 0;
  uint32_t source_ = 0;
};

// An ordered set of named values: the arguments or results of one call, or a batch.
class Values {
 public:
  using Item = std::pair<std::string, Value>;
  Values() = default;
  Values(std::initializer_list<Item> items) : items_(items) {}
  explicit Values(Value::Map items) : items_(std::move(items)) {}

  Values& add(std::string name, Value value) {
    items_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  const Value* find(std::string_view name) const {
    for (const auto& item : items_) {
      if (item.first == name) return &item.second;
    }
    return nullptr;
  }
  // The value of that name; an error naming the ones that are there when it is missing.
  const Value& operator[](std::string_view name) const {
    if (const Value* value = find(name)) return *value;
    std::string known;
    for (const auto& item : items_) known += (known.empty() ? "" : ", ") + item.first;
    throw Error(Code::kFailed, "there is no value named '" + std::string(name) + "'").expected("one of: " + known);
  }
  const at::Tensor& tensor(std::string_view name) const { return (*this)[name].tensor(); }
  // The tensor of that name, or an undefined one when it is absent or none.
  at::Tensor tensor_or_undefined(std::string_view name) const {
    const Value* value = find(name);
    return value != nullptr && value->is_tensor() ? value->tensor() : at::Tensor();
  }
  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  auto begin() { return items_.begin(); }
  auto end() { return items_.end(); }

  const std::vector<Item>& items() const& { return items_; }
  std::vector<Item> items() && { return std::move(items_); }

  static Values from_abi(const fathom_named_value* values, size_t count) {
    Values out;
    out.items_.reserve(count);
    for (size_t i = 0; i < count; ++i)
      out.items_.emplace_back(to_string(values[i].name), Value::from_abi(values[i].value));
    return out;
  }

 private:
  std::vector<Item> items_;
};

inline Value::Value(Values map) : data_(std::move(map).items()) {}

// Values in the boundary's form, borrowed from `values` for as long as both live.
class AbiValues {
 public:
  explicit AbiValues(const Values& values) {
    named_.reserve(values.size());
    for (const auto& [name, value] : values) named_.push_back({to_abi(name), value.to_abi(arena_)});
  }
  const fathom_named_value* data() const { return named_.data(); }
  size_t size() const { return named_.size(); }
  std::vector<fathom_named_value>& items() { return named_; }

 private:
  std::vector<fathom_named_value> named_;
  Value::Arena arena_;
};

inline fathom_sink values_sink(Values& out) {
  return {
      &out, [](void* ctx, const fathom_named_value* value) {
        return guard([&] { static_cast<Values*>(ctx)->add(to_string(value->name), Value::from_abi(value->value)); });
      }};
}
inline void emit(const fathom_sink* sink, const Values& values) {
  AbiValues abi(values);
  for (const auto& value : abi.items()) check(sink->emit(sink->ctx, &value));
}
// What `call(sink)` emits.
template <typename Call>
Values collect_values(Call&& call) {
  Values out;
  const fathom_sink sink = values_sink(out);
  check(call(&sink));
  return out;
}

// The boundary's tensor.
inline fathom_tensor borrow(const at::Tensor& tensor) {
  return reinterpret_cast<fathom_tensor>(const_cast<at::Tensor*>(&tensor));
}

// --- JSON
// --------------------------------------------------------------------------------------------------------------

inline Value value_of(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean: return json.get<bool>();
    case Json::value_t::number_integer: return json.get<int64_t>();
    case Json::value_t::number_unsigned: return json.get<uint64_t>();
    case Json::value_t::number_float: return json.get<double>();
    case Json::value_t::string: return json.get<std::string>();
    case Json::value_t::array: {
      Value::List items;
      for (const Json& item : json) items.push_back(value_of(item));
      return items;
    }
    case Json::value_t::object: {
      Value::Map items;
      for (const auto& [key, item] : json.items()) items.emplace_back(key, value_of(item));
      return items;
    }
    default: return Value();
  }
}
// Fails for tensors and opaque objects, which are not JSON: write them where they belong, or leave them out.
inline Json json_of(const Value& value) {
  if (value.is_none()) return nullptr;
  if (value.is_boolean()) return value.boolean();
  if (value.is_integer()) return value.integer();
  if (value.is_real()) return value.real();
  if (value.is_text()) return value.text();
  if (value.is_list()) {
    Json out = Json::array();
    for (const Value& item : value.list()) out.push_back(json_of(item));
    return out;
  }
  if (value.is_map()) {
    Json out = Json::object();
    for (const auto& [key, item] : value.map()) out[key] = json_of(item);
    return out;
  }
  throw Error(Code::kFailed, std::string("a value holds ") + value.kind_name() + ", which JSON cannot");
}

}  // namespace fathom
