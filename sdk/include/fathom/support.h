// What every kind's header builds on: JSON, text over the boundary, errors over the boundary, the host table.
// Authors include a kind's header (module.h, optimizer.h, …) and plugin.h, not this one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "fathom/abi/host.h"
#include "fathom/error.h"
#include "fathom/json.h"
#include "fathom/log_level.h"

namespace fathom {

inline fathom_str to_abi(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view to_view(fathom_str text) { return {text.ptr, text.len}; }
inline std::string to_string(fathom_str text) {
  return text.len == 0 ? std::string() : std::string(text.ptr, text.len);
}

// --- structs and arrays of another version
// ----------------------------------------------------------------------------

// A struct as this binary knows it: what the writer filled, the rest zero. So an older writer's missing fields are
// null.
template <typename T>
T filled(const T* given) {
  T out{};
  if (given != nullptr) std::memcpy(static_cast<void*>(&out), given, std::min<size_t>(given->struct_size, sizeof(T)));
  out.struct_size = sizeof(T);
  return out;
}

// An array that crossed (FATHOM_ARRAY), element by element.
template <typename Array>
class ArrayView {
 public:
  using Item = std::remove_const_t<std::remove_pointer_t<decltype(Array::data)>>;
  explicit ArrayView(const Array& array) : array_(array) {}
  size_t size() const { return array_.count; }
  Item operator[](size_t i) const {
    Item out{};
    std::memcpy(static_cast<void*>(&out), reinterpret_cast<const char*>(array_.data) + i * array_.stride,
                std::min(array_.stride, sizeof(Item)));
    return out;
  }
  // Where this binary and the writer agree on the elements, the array itself; null elsewhere.
  const Item* as_is() const { return array_.stride == sizeof(Item) ? array_.data : nullptr; }

 private:
  const Array& array_;
};
template <typename Array, typename Item>
Array array_of(const Item* data, size_t count) {
  return {data, count, sizeof(Item)};
}

// The host's table: set once, by the plugin entry (see plugin.h) and by the host for its own libraries.
inline const fathom_host*& host_slot() {
  static const fathom_host* slot = nullptr;
  return slot;
}
inline const fathom_host& host() {
  if (host_slot() == nullptr) throw Error(Code::kInternal, "the host table was used before the plugin was registered");
  return *host_slot();
}

// A function of the host, or an error where the program is older than this plugin and has it not.
template <typename F>
F host_function(F fathom_host::*function) {
  if (const F found = host().*function) return found;
  throw Error(Code::kUnavailable, "this program lacks a function of the host that the plugin needs")
      .next("update the program, or use the plugin built for it");
}

// What a plugin does with the table it is given. A host that is older than the plugin leaves the last functions null.
inline void use_host(const fathom_host* given) {
  static fathom_host table;
  table = filled(given);
  host_slot() = &table;
}

// `component`: the registered name ("asr.EncDecCTCModel").
inline void log(LogLevel level, std::string_view component, std::string_view text) {
  if (host().log != nullptr) host().log(static_cast<int32_t>(level), to_abi(component), to_abi(text));
}

// A table of the host's by "name/revision"; nothing when this host has none of that name.
template <typename Table>
std::optional<Table> host_extension(std::string_view id) {
  if (host_slot() == nullptr || host_slot()->get_extension == nullptr) return std::nullopt;
  const auto* found = static_cast<const Table*>(host_slot()->get_extension(to_abi(id)));
  if (found == nullptr) return std::nullopt;
  return filled(found);
}

// --- errors: an exception on one side becomes a status and comes back as the same Error on the other -----------------

inline fathom_status report(const Error& error) noexcept {
  const fathom_error parts{sizeof(fathom_error),       static_cast<fathom_status>(error.code()),
                           to_abi(error.message()),    to_abi(error.where()),
                           to_abi(error.seen()),       to_abi(error.expected()),
                           to_abi(error.candidates()), to_abi(error.next())};
  if (host_slot() != nullptr && host_slot()->set_error != nullptr) host_slot()->set_error(&parts);
  return parts.code;
}

// The status of the exception in hand. Apart from guard(), which is compiled once for every function of the boundary.
inline fathom_status report_current() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(Error(Code::kFailed, "out of memory").next("use a smaller batch_size"));
  } catch (const std::logic_error& error) {
    return report(Error(Code::kInternal, error.what()));
  } catch (const std::system_error& error) {  // among them std::filesystem's: they name the path
    return report(Error(Code::kIo, error.what()));
  } catch (const std::exception& error) {
    // c10::Error::what() carries a C++ backtrace after its message; users want the message.
    const std::string text = error.what();
    return report(Error(Code::kFailed, text.substr(0, text.find("\nException raised from "))));
  } catch (...) {
    return report(Error(Code::kInternal, "an exception of unknown type"));
  }
}

// Runs `body`; whatever it throws becomes a status. Every function that crosses the boundary is wrapped in this.
template <typename Body>
fathom_status guard(Body&& body) noexcept {
  try {
    body();
    return FATHOM_OK;
  } catch (...) {
    return report_current();
  }
}

// Throws the error a failing status stands for. The other side has described it on this thread.
inline void check(fathom_status status) {
  if (status == FATHOM_OK) return;
  const bool can_tell = host_slot() != nullptr && host_slot()->last_error != nullptr;
  const fathom_error* given = can_tell ? host_slot()->last_error() : nullptr;
  if (given == nullptr || given->code != status) {
    throw Error(static_cast<Code>(status), "failed without a description (status " + std::to_string(status) + ")");
  }
  const fathom_error error = filled(given);
  throw Error(static_cast<Code>(status), to_string(error.what))
      .at(to_string(error.where))
      .seen(to_string(error.seen))
      .expected(to_string(error.expected))
      .candidates(to_string(error.candidates))
      .next(to_string(error.next));
}

// --- text out parameters -------------------------------------------------------------------------------------------

inline fathom_text_sink text_sink(std::string& out) {
  return {&out, [](void* ctx, fathom_str text) { static_cast<std::string*>(ctx)->append(text.ptr, text.len); }};
}
inline void write(const fathom_text_sink* sink, std::string_view text) { sink->write(sink->ctx, to_abi(text)); }

// A component's state: null is written as nothing at all.
inline void write_state(const fathom_text_sink* sink, const Json& state) {
  if (!state.is_null()) write(sink, json_text(state));
}

inline Json parse_json(fathom_str text, const char* what) {
  if (text.len == 0) return Json::object();
  try {
    return parse_text(to_view(text));
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::kInternal, std::string(what) + " is not JSON: " + error.what());
  }
}

// The text that `call(sink)` writes; the same as JSON, null for none.
template <typename Call>
std::string read_text(Call&& call) {
  std::string text;
  const fathom_text_sink sink = text_sink(text);
  check(call(&sink));
  return text;
}
template <typename Call>
Json read_json(Call&& call) {
  const std::string text = read_text(call);
  return text.empty() ? Json(nullptr) : parse_text(text);
}

// --- objects on the caller's side ------------------------------------------------------------------------------------

// A capability of an object (base.h): its table and the object's self. False where the object has it not.
template <typename Table>
class Extension {
 public:
  Extension() = default;
  Extension(const Table* table, void* self) : there_(table != nullptr), table_(filled(table)), self_(self) {}
  explicit operator bool() const { return there_; }
  const Table* operator->() const { return &table_; }
  void* self() const { return self_; }

 private:
  bool there_ = false;
  Table table_{};
  void* self_ = nullptr;
};
template <typename Table>
Extension<Table> query(const fathom_object& object, std::string_view id) {
  if (object.component == nullptr) return {};
  const fathom_component known = filled(object.component);
  if (known.query == nullptr) return {};
  return {static_cast<const Table*>(known.query(object.self, to_abi(id))), object.self};
}

// Owns an object made by a plugin. VTable is the kind's struct (fathom_module_v1, …), of which it keeps a filled copy.
template <typename VTable>
class Handle {
 public:
  Handle() = default;
  explicit Handle(fathom_object object)
      : object_(object),
        table_(object.component == nullptr ? VTable{} : filled(static_cast<const VTable*>(object.component->vtable))) {}
  Handle(Handle&& other) noexcept : object_(std::exchange(other.object_, {})), table_(other.table_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(object_, other.object_);
    std::swap(table_, other.table_);
    return *this;
  }
  ~Handle() {
    if (object_.component != nullptr) object_.component->destroy(object_.self);
  }

  explicit operator bool() const { return object_.component != nullptr; }
  const VTable& vtable() const { return table_; }
  template <typename Table>
  Extension<Table> query(std::string_view id) const {
    return fathom::query<Table>(object_, id);
  }
  void* self() const { return object_.self; }
  fathom_kind kind() const { return object_.component->kind; }
  std::string name() const { return to_string(object_.component->name); }
  const fathom_component& component() const { return *object_.component; }
  const fathom_object& object() const { return object_; }
  fathom_object release() { return std::exchange(object_, {}); }

 private:
  fathom_object object_{nullptr, nullptr};
  VTable table_{};
};

// A handle on an object that somebody else owns and keeps for as long as it is used.
template <typename VTable>
std::shared_ptr<Handle<VTable>> borrowed_handle(fathom_object object) {
  return {new Handle<VTable>(object), [](Handle<VTable>* handle) {
            handle->release();
            delete handle;
          }};
}

// Asks the host for a component of one of `kinds` (bit set of 1 << FATHOM_KIND_…) named in `config`.
inline fathom_object create_object(uint32_t kinds, const Json& config, const std::string& config_path,
                                   const Json& context = Json::object()) {
  fathom_object object{nullptr, nullptr};
  const std::string config_text = json_text(config), context_text = json_text(context);
  check(host_function(&fathom_host::create)(kinds, to_abi(config_text), to_abi(config_path), to_abi(context_text),
                                            &object));
  return object;
}

}  // namespace fathom
