// Values: named tensors (and lists, texts, numbers) that flow through ports and batches.
#pragma once

#include <ATen/core/Tensor.h>

#include <variant>
#include <vector>

#include "fathom/abi/value.h"
#include "fathom/support.h"

namespace fathom {

class Value {
 public:
  Value() = default;
  Value(at::Tensor tensor) : data_(std::move(tensor)) {}      // NOLINT: conversions are the point
  Value(std::vector<Value> list) : data_(std::move(list)) {}  // NOLINT
  Value(std::string text) : data_(std::move(text)) {}         // NOLINT
  Value(const char* text) : data_(std::string(text)) {}       // NOLINT
  Value(int64_t integer) : data_(integer) {}                  // NOLINT
  Value(double real) : data_(real) {}                         // NOLINT

  bool is_none() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_tensor() const { return std::holds_alternative<at::Tensor>(data_); }
  bool is_list() const { return std::holds_alternative<std::vector<Value>>(data_); }
  bool is_text() const { return std::holds_alternative<std::string>(data_); }

  const at::Tensor& tensor() const { return get<at::Tensor>("a tensor"); }
  const std::vector<Value>& list() const { return get<std::vector<Value>>("a list"); }
  const std::string& text() const { return get<std::string>("a text"); }
  int64_t integer() const { return get<int64_t>("an integer"); }
  double real() const { return get<double>("a number"); }
  const char* kind_name() const {
    constexpr const char* kNames[] = {"nothing", "a tensor", "a list", "a text", "an integer", "a number"};
    return kNames[data_.index()];
  }

  fathom_type_id type() const { return type_; }
  void set_type(fathom_type_id type) { type_ = type; }
  // The output port it came from, for messages; 0 when not known.
  uint32_t source() const { return source_; }
  void set_source(uint32_t source) { source_ = source; }

  // The boundary's form; lists need `arena` for their items. Borrows from this value.
  fathom_value to_abi(std::vector<std::vector<fathom_value>>& arena) const {
    fathom_value out{};
    out.type = type_;
    out.source = source_;
    out.rank = -1;
    if (const auto* tensor = std::get_if<at::Tensor>(&data_)) {
      out.kind = tensor->defined() ? FATHOM_VALUE_TENSOR : FATHOM_VALUE_NONE;
      out.as.tensor = reinterpret_cast<fathom_tensor>(const_cast<at::Tensor*>(tensor));
      if (tensor->defined()) out.rank = static_cast<int32_t>(tensor->dim());
    } else if (const auto* list = std::get_if<std::vector<Value>>(&data_)) {
      std::vector<fathom_value> items;
      for (const auto& item : *list) items.push_back(item.to_abi(arena));
      arena.push_back(std::move(items));
      out.kind = FATHOM_VALUE_LIST;
      out.as.list = {arena.back().data(), arena.back().size()};
    } else if (const auto* text = std::get_if<std::string>(&data_)) {
      out.kind = FATHOM_VALUE_TEXT;
      out.as.text = ::fathom::to_abi(*text);
    } else if (const auto* integer = std::get_if<int64_t>(&data_)) {
      out.kind = FATHOM_VALUE_INT;
      out.as.integer = *integer;
    } else if (const auto* real = std::get_if<double>(&data_)) {
      out.kind = FATHOM_VALUE_REAL;
      out.as.real = *real;
    }
    return out;
  }
  static Value from_abi(const fathom_value& in) {
    Value out;
    switch (in.kind) {
      case FATHOM_VALUE_NONE: break;
      case FATHOM_VALUE_TENSOR: out.data_ = *reinterpret_cast<at::Tensor*>(in.as.tensor); break;
      case FATHOM_VALUE_LIST: {
        std::vector<Value> items;
        for (size_t i = 0; i < in.as.list.count; ++i) items.push_back(from_abi(in.as.list.items[i]));
        out.data_ = std::move(items);
        break;
      }
      case FATHOM_VALUE_TEXT: out.data_ = to_string(in.as.text); break;
      case FATHOM_VALUE_INT: out.data_ = in.as.integer; break;
      case FATHOM_VALUE_REAL: out.data_ = in.as.real; break;
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
  std::variant<std::monostate, at::Tensor, std::vector<Value>, std::string, int64_t, double> data_;
  fathom_type_id type_ = 0;
  uint32_t source_ = 0;
};

// An ordered set of named values: the arguments or results of one call, or a batch.
class Values {
 public:
  using Item = std::pair<std::string, Value>;
  Values() = default;
  Values(std::initializer_list<Item> items) : items_(items) {}

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
  std::vector<std::vector<fathom_value>> arena_;  // the lists' items stay where they are when it grows
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

}  // namespace fathom
